// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// So many of something a second for each key, and a second's worth at once.
///
/// Memory is bounded: a bucket that is full again is the same as none and is forgotten, and of more than `keysMax` those go
/// that were used longest ago (they start afresh, so who has that many keys can gain by it; nobody else loses).
package struct KeyedRate<Key: Hashable & Sendable>: Sendable {
    private let rate: Int
    private let keysMax: Int
    private var buckets: [Key: TokenBucket] = [:]
    /// How many there may be before the next look for those that can go.
    private var sweepAt: Int

    private static var sweepAtLeast: Int { 1024 }

    /// - Parameter rate: per second and key, at least 1.
    package init(rate: Int, keysMax: Int = 100_000) {
        self.rate = rate
        self.keysMax = keysMax
        sweepAt = min(KeyedRate.sweepAtLeast, keysMax)
    }

    /// Takes `count` at once or none. More than a second's worth passes if the whole second is there, and has to be waited for
    /// afterwards: else a large request could never be granted.
    ///
    /// - Returns: nil if granted, else how long to wait.
    package mutating func take(_ key: Key, count: Int, now: NIODeadline) -> TimeAmount? {
        if var bucket = buckets[key] {
            let wait = bucket.take(count, now: now)
            buckets[key] = bucket
            return wait
        }
        if buckets.count >= sweepAt { sweep(now: now) }
        var bucket = TokenBucket(rate: rate, now: now)
        let wait = bucket.take(count, now: now)
        buckets[key] = bucket
        return wait
    }

    /// What ``take(_:count:now:)`` would answer now.
    package func wait(for count: Int, _ key: Key, now: NIODeadline) -> TimeAmount? {
        var bucket = buckets[key] ?? TokenBucket(rate: rate, now: now)
        return bucket.take(count, now: now)
    }

    /// Keys that are remembered.
    package var keyCount: Int { buckets.count }

    private mutating func sweep(now: NIODeadline) {
        buckets = buckets.filter { $0.value.fullAt > now }
        if buckets.count >= keysMax {
            // Some more than one, so that it is not done for each.
            let kept = keysMax - max(1, keysMax / 10)
            buckets = Dictionary(
                uniqueKeysWithValues: buckets.sorted { $0.value.lastUsed > $1.value.lastUsed }.prefix(kept).map { $0 })
        }
        sweepAt = min(keysMax, max(KeyedRate.sweepAtLeast, buckets.count * 2))
    }
}
