// SPDX-License-Identifier: Apache-2.0
import DequeModule
import NIOCore

/// How many of its streams a node ends, so that a load balancer may give them to nodes that have fewer.
///
/// Streams last, so nodes that were added, or were restarted, stay empty until the others' have had their lifetime. A node
/// that has clearly more than its share ends some until it has no more than that, a few at a time: each is a reconnect that
/// somebody has to serve.
///
/// It can't know whether they will go elsewhere. Where clients come back to the same node all the same (a load balancer
/// that remembers them, nodes on two continents with one Redis), it gives up after as many as should have been enough, and
/// rests.
package struct Rebalancer {
    /// What is more than the share: it begins.
    private static let tolerance = 1.2
    /// Of its streams, at most, that it ends in a second.
    private static let shareMax = 0.01
    /// As many times what was too much is ended before it gives up.
    private static let effort = 2
    private static let rest = TimeAmount.minutes(10)
    /// What is known of the others may be so old. Where streams come to all nodes at once, as after an outage, this one would
    /// take itself for fuller than they are; so it counts what it has had for as long.
    package static let window = TimeAmount.seconds(8)
    /// After a pause it does not make up for more than that.
    private static let stepMax = TimeAmount.seconds(2)

    private enum State {
        case even
        /// - Parameter left: how many it may still end.
        case ending(left: Int)
        case resting(until: NIODeadline)
    }

    private var state = State.even
    private var looked: NIODeadline?
    /// Its streams in the window, and the last count before that.
    private var recent: Deque<(own: Int, time: NIODeadline)> = []
    /// What it may end by now and has not: less than one stream, mostly.
    private var allowance = 0.0

    package init() {}

    /// It has given up: streams that it ended came back.
    package var isResting: Bool { if case .resting = state { true } else { false } }

    /// - Parameters:
    ///   - own: its streams.
    ///   - others: those of each other node that takes streams.
    /// - Returns: how many to end now.
    package mutating func surplus(own: Int, others: [Int], now: NIODeadline) -> Int {
        let elapsed = min(now - (looked ?? now), Rebalancer.stepMax)
        looked = now
        recent.append((own, now))
        while recent.count > 1, recent[1].time + Rebalancer.window <= now { recent.removeFirst() }
        switch state {
        case .resting(let end) where now < end: return 0
        case .even, .resting:
            state = .even
            guard let first = recent.first, first.time + Rebalancer.window <= now,
                let had = recent.map(\.own).min()
            else { return 0 }
            let (surplus, mean) = Rebalancer.surplus(own: had, others)
            guard surplus > 0, Double(had) > mean * Rebalancer.tolerance else { return 0 }
            state = .ending(left: surplus * Rebalancer.effort)
            allowance = 0
            return 0
        case .ending(let left):
            let surplus = Rebalancer.surplus(own: own, others).count
            guard surplus > 0 else {
                state = .even
                return 0
            }
            let rate = Double(own) * Rebalancer.shareMax
            allowance = min(allowance + rate * Double(elapsed.nanoseconds) / 1e9, max(rate, 1))
            let count = min(Int(allowance), surplus, left)
            allowance -= Double(count)
            state = left > count ? .ending(left: left - count) : .resting(until: now + Rebalancer.rest)
            return count
        }
    }

    private static func surplus(own: Int, _ others: [Int]) -> (count: Int, mean: Double) {
        let mean = Double(own + others.reduce(0, +)) / Double(others.count + 1)
        // With seven streams on three nodes somebody has three.
        return (max(0, own - Int(mean.rounded(.up))), mean)
    }
}
