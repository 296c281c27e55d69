// SPDX-License-Identifier: Apache-2.0

/// Why a line of the log is left out: a label of a metric.
package enum LogLoss: String, CaseIterable, Sendable {
    /// Nobody reads the log.
    case unread
    /// There were too many of its kind in a minute.
    case limited
}
