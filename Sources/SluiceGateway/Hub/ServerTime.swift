// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// The latest time that the broker's own clock can show by now, which no event can push.
///
/// A reading was made after it was asked for. So what it says, and what has passed since it was asked for, is an upper
/// bound, however long the answer took.
package struct ServerTime {
    /// For clocks that are being adjusted, in milliseconds; a thousandth of what has passed is added.
    private static let slack: UInt64 = 100
    /// The function gives out times of at most 15 digits.
    private static let timeMax: UInt64 = 1_000_000_000_000_000

    private var reading: (milliseconds: UInt64, asked: NIODeadline)?

    package init() {}

    /// - Parameters:
    ///   - milliseconds: since 1970, as the server says.
    ///   - asked: when it was asked.
    package mutating func read(_ milliseconds: UInt64, asked: NIODeadline) {
        guard milliseconds < ServerTime.timeMax else { return }
        reading = (milliseconds, asked)
    }

    /// In milliseconds since 1970; nil: there was no reading yet.
    package func latest(now: NIODeadline) -> UInt64? {
        guard let reading else { return nil }
        let passed = UInt64(max(0, (now - reading.asked).nanoseconds)) / 1_000_000
        return reading.milliseconds + passed + passed / 1000 + ServerTime.slack
    }
}
