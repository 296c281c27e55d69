// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import TestSupport
import Testing

@Suite("EventID")
struct EventIDTests {
    @Test(
        "what is printed parses back",
        arguments: [
            ("0-0", EventID.zero), ("0-1", EventID(0, 1)), ("1-0", EventID(1, 0)),
            ("1763720001234-55", EventID(1_763_720_001_234, 55)),
            ("999999999999999-999999999999999", EventID(999_999_999_999_999, 999_999_999_999_999)),
            ("100000000000000-999999999999999", EventID(100_000_000_000_000, 999_999_999_999_999)),
        ])
    func roundTrip(_ text: String, _ id: EventID) {
        #expect(EventID(text) == id)
        #expect(id.description == text)
        #expect(EventID(Array(text.utf8)) == id)
    }

    @Test(
        "anything but the canonical form is no id",
        arguments: [
            "", "-", "1", "1-", "-1", "1-2-3", "1--2", "01-0", "0-00", "1-01", "00-0", "+1-2", "1-+2", "1 -2", " 1-2",
            "1-2 ", "1-2\n", "1-2\0", "a-1", "1-a", "0x1-2", "1.0-2", "１-2", "1-２", "1–2", "$", "*", "(1-2", "earliest",
            "18446744073709551616-0", "0-18446744073709551616", "99999999999999999999-0", "100000000000000000000-0",
            "1000000000000000-0", "1-1000000000000000", "18446744073709551615-18446744073709551615",
            "1-000000000000000000000000000", "𝟣-2",
        ])
    func refuses(_ text: String) {
        #expect(EventID(text) == nil)
        #expect(Cursor(text) == nil)
    }

    @Test(
        "bytes that are no text are no id",
        arguments: [[0xFF, 0x2D, 0x31], [0x31, 0x2D, 0xC3], [0x31, 0xAD, 0x31]] as [[UInt8]])
    func refusesBytes(_ bytes: [UInt8]) {
        #expect(EventID(bytes) == nil)
    }

    @Test("ids are ordered by time, then by sequence, as numbers and not as text")
    func order() {
        let ordered = [
            EventID.zero, EventID(0, 1), EventID(0, 9), EventID(0, 10), EventID(9, 0), EventID(9, .max), EventID(10, 0),
            EventID(.max, 0), .max,
        ]
        for (left, first) in ordered.enumerated() {
            for (right, second) in ordered.enumerated() {
                #expect((first < second) == (left < right), "\(first) and \(second)")
            }
        }
    }

    @Test("random ids survive printing and parsing", arguments: 0..<4 as Range<UInt64>)
    func randomRoundTrip(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<500 {
            let id = EventID(
                generator.next() % 1_000_000_000_000_000 >> UInt64.random(in: 0...49, using: &generator),
                generator.next() % 1_000_000_000_000_000 >> UInt64.random(in: 0...49, using: &generator))
            #expect(EventID(id.description) == id)
        }
    }
}
