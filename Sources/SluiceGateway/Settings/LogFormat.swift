// SPDX-License-Identifier: Apache-2.0

/// How a line of the log looks.
package enum LogFormat: String, CaseIterable, Sendable {
    case text
    case json
}
