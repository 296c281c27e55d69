// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// `<ms>-<seq>`, the shape of a Redis stream id, given out by one clock for all topics.
///
/// The order of ids is the order of publishing over every topic of one Redis, which is why one
/// cursor is enough for any set of topics.
package struct EventID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let milliseconds: UInt64
    package let sequence: UInt64

    package init(_ milliseconds: UInt64, _ sequence: UInt64) {
        self.milliseconds = milliseconds
        self.sequence = sequence
    }

    /// Before every id that the clock gives out.
    package static let zero = EventID(0, 0)

    /// After every id that the clock gives out.
    package static let max = EventID(.max, .max)

    /// In milliseconds: the function gives out times of at most 15 digits, so one from here on is forged.
    package static let timeLimit: UInt64 = 1_000_000_000_000_000

    /// Of each number: the Redis function counts in floating point, which is exact up to here.
    private static let digitsMax = 15

    /// Parses the canonical form: two decimal numbers of at most 15 digits, without leading zeros, a hyphen between.
    ///
    /// What the clock can't have given out is no id, wherever it comes from. A node that believed one would tell it to the
    /// function in Redis, which refuses it, and the clock would no longer move.
    package init?(_ bytes: some Collection<UInt8>) {
        guard let hyphen = bytes.firstIndex(of: UInt8(ascii: "-")),
            let milliseconds = EventID.number(bytes[..<hyphen]),
            let sequence = EventID.number(bytes[bytes.index(after: hyphen)...])
        else { return nil }
        self.init(milliseconds, sequence)
    }

    package init?(_ text: some StringProtocol) {
        self.init(text.utf8)
    }

    private static func number(_ digits: some Collection<UInt8>) -> UInt64? {
        guard let first = digits.first, digits.count <= digitsMax, digits.count == 1 || first != UInt8(ascii: "0")
        else { return nil }
        var value: UInt64 = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            value = value * 10 + UInt64(digit - UInt8(ascii: "0"))
        }
        return value
    }

    /// Before this one, and after all of earlier milliseconds but the last.
    package var before: EventID {
        sequence > 0 ? EventID(milliseconds, sequence - 1) : EventID(Swift.max(milliseconds, 1) - 1, 0)
    }

    package static func < (left: EventID, right: EventID) -> Bool {
        (left.milliseconds, left.sequence) < (right.milliseconds, right.sequence)
    }

    package var description: String {
        "\(milliseconds)-\(sequence)"
    }
}
