// SPDX-License-Identifier: Apache-2.0
import DequeModule
import NIOCore
import SluiceCore

/// Clients that were told not to come back, each for a time: an `EventSource` that is answered 204 stops for good.
package struct Exiles {
    /// Beyond it the oldest are forgotten: memory is bounded whoever gives orders.
    private static let countMax = 100_000

    private var ends: [Target: NIODeadline] = [:]
    private var order: Deque<Target> = []

    package init() {}

    package mutating func banish(_ client: Target, until end: NIODeadline) {
        if ends.updateValue(end, forKey: client) == nil { order.append(client) }
        while order.count > Exiles.countMax, let oldest = order.popFirst() { ends[oldest] = nil }
    }

    package func contains(_ client: Target, now: NIODeadline) -> Bool {
        ends[client].map { $0 > now } ?? false
    }

    /// Lets go of those at the front whose time is over; times differ little, so the rest waits its turn.
    package mutating func forget(now: NIODeadline) {
        while let first = order.first, !contains(first, now: now) {
            ends[first] = nil
            order.removeFirst()
        }
    }
}
