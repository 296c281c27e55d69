// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// How fast each token may publish: so many events a second, and a second's worth at once.
///
/// Memory is bounded: a bucket that is full again is the same as none and is forgotten, and of more than `idsMax` those
/// go that were used longest ago (they start afresh, so who holds that many tokens can gain by it; nobody else loses).
package struct PublishRate: Sendable {
    private let rate: Int
    private let idsMax: Int
    private var buckets: [String: TokenBucket] = [:]
    /// How many there may be before the next look for those that can go.
    private var sweepAt: Int

    private static let sweepAtLeast = 1024

    /// - Parameter rate: events per second and id, at least 1.
    package init(rate: Int, idsMax: Int = 100_000) {
        self.rate = rate
        self.idsMax = idsMax
        sweepAt = min(PublishRate.sweepAtLeast, idsMax)
    }

    /// Takes `count` events at once or none. More than a second's worth passes if the whole second is there, and has to
    /// be waited for afterwards: else a large request could never be sent.
    ///
    /// - Returns: nil if granted, else how long to wait.
    package mutating func take(_ id: String, count: Int, now: NIODeadline) -> TimeAmount? {
        if var bucket = buckets[id] {
            let wait = bucket.take(count, now: now)
            buckets[id] = bucket
            return wait
        }
        if buckets.count >= sweepAt { sweep(now: now) }
        var bucket = TokenBucket(rate: rate, now: now)
        let wait = bucket.take(count, now: now)
        buckets[id] = bucket
        return wait
    }

    /// Ids that are remembered.
    package var idCount: Int { buckets.count }

    private mutating func sweep(now: NIODeadline) {
        buckets = buckets.filter { $0.value.fullAt > now }
        if buckets.count >= idsMax {
            // Some more than one, so that it is not done for each.
            let kept = idsMax - max(1, idsMax / 10)
            buckets = Dictionary(
                uniqueKeysWithValues: buckets.sorted { $0.value.lastUsed > $1.value.lastUsed }.prefix(kept).map { $0 })
        }
        sweepAt = min(idsMax, max(PublishRate.sweepAtLeast, buckets.count * 2))
    }
}
