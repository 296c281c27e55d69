// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// Admits so many a second, and a second's worth at once.
package struct TokenBucket: Sendable {
    private let rate: Int
    /// Below zero after more than a second's worth was taken at once.
    private var tokens: Double
    /// The latest time at which somebody asked.
    package private(set) var lastUsed: NIODeadline

    /// - Parameter rate: per second, at least 1.
    package init(rate: Int, now: NIODeadline) {
        self.rate = rate
        self.tokens = Double(rate)
        self.lastUsed = now
    }

    package mutating func take(now: NIODeadline) -> Bool {
        take(1, now: now) == nil
    }

    /// Takes all of `count` or nothing. More than a second's worth is granted to a full bucket, and owed.
    ///
    /// - Returns: nil if granted, else the time after which it will be, if nobody else takes any.
    package mutating func take(_ count: Int, now: NIODeadline) -> TimeAmount? {
        let elapsed = Double(max(0, (now - lastUsed).nanoseconds)) / 1_000_000_000
        tokens = min(Double(rate), tokens + elapsed * Double(rate))
        lastUsed = max(lastUsed, now)
        let needed = Double(min(count, rate))
        guard tokens >= needed else { return time(for: needed - tokens) }
        tokens -= Double(count)
        return nil
    }

    /// From when on it is as good as new.
    package var fullAt: NIODeadline { lastUsed + time(for: Double(rate) - tokens) }

    /// How long so many take to come; a microsecond more, so that rounding never makes somebody come too early.
    private func time(for missing: Double) -> TimeAmount {
        .microseconds(Int64((missing / Double(rate) * 1_000_000).rounded(.up)) + 1)
    }
}
