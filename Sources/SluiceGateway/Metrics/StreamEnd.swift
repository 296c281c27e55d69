// SPDX-License-Identifier: Apache-2.0

/// Why a stream has ended: a label of a metric.
package enum StreamEnd: String, CaseIterable, Sendable {
    /// The client has closed it.
    case client
    /// `--lifetime` is over.
    case lifetime
    case token
    /// All of its topics have ended.
    case finished
    /// Somebody has ordered its client away.
    case disconnect
    /// Somebody has told its client to come back later.
    case pause
    /// Its client took nothing for `--stall`.
    case stalled
    case drain
    /// Other nodes have fewer.
    case rebalance
    /// Its connection broke.
    case error
}
