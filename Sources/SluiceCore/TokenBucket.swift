// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// Admits so many a second, and a second's worth at once.
package struct TokenBucket {
    private let rate: Int
    private var tokens: Double
    private var last: NIODeadline

    package init(rate: Int, now: NIODeadline) {
        self.rate = rate
        self.tokens = Double(rate)
        self.last = now
    }

    package mutating func take(now: NIODeadline) -> Bool {
        let elapsed = Double(max(0, (now - last).nanoseconds)) / 1_000_000_000
        tokens = min(Double(rate), tokens + elapsed * Double(rate))
        last = max(last, now)
        guard tokens >= 1 else { return false }
        tokens -= 1
        return true
    }
}
