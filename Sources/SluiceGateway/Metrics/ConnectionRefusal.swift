// SPDX-License-Identifier: Apache-2.0

/// Why a connection is closed at once: a label of a metric.
package enum ConnectionRefusal: String, CaseIterable, Sendable {
    /// `--max-connections`
    case connections
    /// `--max-streams-per-address`, which counts connections, too.
    case address
    /// `--connection-rate`
    case rate
    /// It has no header of a `--trusted-proxy`.
    case proxy
}
