// SPDX-License-Identifier: Apache-2.0

/// What a metric is to who reads it.
package enum MetricKind: String, Sendable {
    /// Rises, and begins anew with the process. Its name ends in `_total`.
    case counter
    case gauge
    case histogram
    /// Says what the process is, in its labels; the number is 1. Its name ends in `_info`.
    case info
}
