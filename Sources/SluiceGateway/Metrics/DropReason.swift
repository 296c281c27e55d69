// SPDX-License-Identifier: Apache-2.0

/// Why an event from Redis is dropped: a label of a metric.
package enum DropReason: String, CaseIterable, Sendable {
    /// Its envelope does not parse.
    case malformed
    /// Its id lies more than a minute ahead.
    case future
    /// Its data is over `--max-event`.
    case oversized
}
