// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// What the streams of one event loop have seen, together.
struct Counts: Sendable {
    var opened = 0
    var refused = 0
    /// Ended by the server although nobody asked for it.
    var closed = 0
    /// Why the first one was refused or closed.
    var firstProblem: String?

    /// Messages that arrived, without duplicates.
    var deliveries = 0
    var duplicates = 0
    var outOfOrder = 0
    /// Of the streams' bodies, with heartbeats and whatever else comes.
    var bytes = 0
    var lastArrival = NIODeadline.uptimeNanoseconds(0)

    /// Streams whose fate is known.
    var settled: Int { opened + refused }

    mutating func add(_ other: Counts) {
        opened += other.opened
        refused += other.refused
        closed += other.closed
        firstProblem = firstProblem ?? other.firstProblem
        deliveries += other.deliveries
        duplicates += other.duplicates
        outOfOrder += other.outOfOrder
        bytes += other.bytes
        lastArrival = max(lastArrival, other.lastArrival)
    }
}
