// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// The latest time that the broker's own clock can show by now, which no event can push.
///
/// A reading was made after it was asked for. So what it says, and what has passed since it was asked for, is an upper
/// bound, however long the answer took.
package struct ServerTime {
    /// For clocks that are being adjusted, in milliseconds; a thousandth of what has passed is added.
    private static let slack: UInt64 = 100
    /// How far the broker's clock may be ahead of this machine's as long as its own time is not known, in milliseconds.
    private static let skewMax: UInt64 = 60_000

    private var reading: (milliseconds: UInt64, asked: NIODeadline)?
    /// This machine's clock, and the skew.
    private var guess: (milliseconds: UInt64, asked: NIODeadline)?
    /// Ids up to this time are not from the future; what is later is looked at anew.
    private var limit: UInt64 = 0

    package init() {}

    /// - Parameters:
    ///   - milliseconds: since 1970, as the server says.
    ///   - asked: when it was asked.
    package mutating func read(_ milliseconds: UInt64, asked: NIODeadline) {
        guard milliseconds < EventID.timeLimit else { return }
        reading = (milliseconds, asked)
        limit = 0
    }

    /// What this machine's clock says, in milliseconds since 1970: counts until the server's own is known.
    package mutating func guess(_ milliseconds: UInt64, now: NIODeadline) {
        guess = (milliseconds + ServerTime.skewMax, now)
    }

    /// In milliseconds since 1970; nil: there was no reading yet.
    package func latest(now: NIODeadline) -> UInt64? {
        guard let (milliseconds, asked) = reading ?? guess else { return nil }
        let passed = UInt64(max(0, (now - asked).nanoseconds)) / 1_000_000
        return milliseconds + passed + passed / 1000 + ServerTime.slack
    }

    /// Whether the clock can't have given out this id by now.
    ///
    /// - Parameter clock: a reading of it. A clock that was ahead of the time goes on from where it was.
    package mutating func isFuture(_ id: EventID, clock: EventID, now: NIODeadline) -> Bool {
        guard id.milliseconds > limit else { return false }
        limit = max(latest(now: now) ?? .max, clock.milliseconds)
        return id.milliseconds > limit
    }
}
