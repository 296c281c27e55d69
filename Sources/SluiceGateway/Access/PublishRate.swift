// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// How fast each publisher may publish: so many events and bytes a second, and a second's worth at once.
///
/// Memory is bounded: a publisher whose second is whole again is the same as one that never came and is forgotten, and of
/// more than `idsMax` those go that came longest ago (they start afresh, so who holds that many tokens can gain by it;
/// nobody else loses).
package struct PublishRate: Sendable {
    /// What one publisher has left. nil: no limit.
    private struct Budget {
        var events: TokenBucket?
        var bytes: TokenBucket?

        /// Takes both or none.
        mutating func take(events count: Int, bytes size: Int, now: NIODeadline) -> TimeAmount? {
            var left = self
            let waits = [left.events?.take(count, now: now), left.bytes?.take(size, now: now)]
            if let wait = waits.compactMap(\.self).max() { return wait }
            self = left
            return nil
        }

        var lastUsed: NIODeadline { max(events?.lastUsed ?? .distantPast, bytes?.lastUsed ?? .distantPast) }
        var fullAt: NIODeadline { max(events?.fullAt ?? .distantPast, bytes?.fullAt ?? .distantPast) }
    }

    private let events: Int
    private let bytes: Int
    private let idsMax: Int
    private var budgets: [String: Budget] = [:]
    /// How many there may be before the next look for those that can go.
    private var sweepAt: Int

    private static let sweepAtLeast = 1024

    /// - Parameters:
    ///   - events: per second and publisher; 0: no limit.
    ///   - bytes: the same.
    package init(events: Int, bytes: Int, idsMax: Int = 100_000) {
        self.events = events
        self.bytes = bytes
        self.idsMax = idsMax
        sweepAt = min(PublishRate.sweepAtLeast, idsMax)
    }

    /// Takes all of it at once or none. More than a second's worth passes if the whole second is there, and has to be
    /// waited for afterwards: else a large request could never be sent.
    ///
    /// - Returns: nil if granted, else how long to wait.
    package mutating func take(_ id: String, events count: Int, bytes size: Int, now: NIODeadline) -> TimeAmount? {
        guard events > 0 || bytes > 0 else { return nil }
        if budgets[id] == nil {
            if budgets.count >= sweepAt { sweep(now: now) }
            budgets[id] = Budget(
                events: events > 0 ? TokenBucket(rate: events, now: now) : nil,
                bytes: bytes > 0 ? TokenBucket(rate: bytes, now: now) : nil)
        }
        return budgets[id]?.take(events: count, bytes: size, now: now)
    }

    /// Publishers that are remembered.
    package var idCount: Int { budgets.count }

    private mutating func sweep(now: NIODeadline) {
        budgets = budgets.filter { $0.value.fullAt > now }
        if budgets.count >= idsMax {
            // Some more than one, so that it is not done for each.
            let kept = idsMax - max(1, idsMax / 10)
            budgets = Dictionary(
                uniqueKeysWithValues: budgets.sorted { $0.value.lastUsed > $1.value.lastUsed }.prefix(kept).map { $0 })
        }
        sweepAt = min(idsMax, max(PublishRate.sweepAtLeast, budgets.count * 2))
    }
}
