// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// When a client is to come back after its stream has ended: browsers wait exactly as long as the last `retry:` said,
/// so the jitter has to come from here.
package struct RetryPolicy: Sendable {
    private let base: Int64
    private let spread: Int64

    package init(base: TimeAmount, spread: TimeAmount) {
        self.base = base.nanoseconds / 1_000_000
        self.spread = spread.nanoseconds / 1_000_000
    }

    /// In milliseconds; every stream its own.
    ///
    /// - Parameter fraction: of the spread; all bits set: all of it.
    package func time(at fraction: UInt64) -> Int64 {
        base + Int64((UInt64(clamping: spread) + 1).multipliedFullWidth(by: fraction).high)
    }

    /// For a client that was sent away: later the more streams there are, so that they don't all come back at once.
    package func afterShed(streams: Int) -> Int64 {
        let extra = min(Int64(streams) / 2, 60_000)
        return base + Int64.random(in: 0...max(spread, 1) + extra)
    }
}
