// SPDX-License-Identifier: Apache-2.0

/// Why a stream is sent away: a label of a metric.
package enum ShedReason: String, CaseIterable, Sendable {
    /// The node is about to go.
    case draining
    /// `--max-streams`
    case streams
    /// `--max-streams-per-address`
    case address
    /// `--max-streams-per-client`
    case client
    /// `--open-rate`
    case rate
    /// `--topic-rate` or `--new-topic-rate`
    case topics
    /// Its token could not be checked now.
    case unavailable
}
