// SPDX-License-Identifier: Apache-2.0

/// How a node knows what a request may do.
package enum AuthMode: String, CaseIterable, Sendable {
    /// Anybody may do anything.
    case open
    case jwt
}
