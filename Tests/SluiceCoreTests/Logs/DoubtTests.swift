// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import Testing

@Suite("Doubt")
struct DoubtTests {
    private static func id(_ milliseconds: UInt64) -> EventID { EventID(milliseconds, 0) }

    @Test("is about the ids after the one and up to the other")
    func contains() throws {
        let doubt = try #require(Doubt(after: Self.id(3), upTo: Self.id(5)))
        #expect([2, 3, 4, 5, 6].map { doubt.contains(Self.id($0)) } == [false, false, true, true, false])
        #expect(Doubt(after: Self.id(5), upTo: Self.id(5)) == nil)
    }

    @Test(
        "is read as the function writes it; of what it can't have written nothing is believed, and no more than sixteen"
    )
    func text() {
        #expect(Doubt.list(text: "1-0 2-0 3-0 4-1").map(\.upTo) == [Self.id(2), EventID(4, 1)])
        for text in ["", "1-0", "2-0 1-0", "x 1-0", "1-0 x"] { #expect(Doubt.list(text: text).isEmpty) }
        #expect(Doubt.list(text: String(repeating: "1-0 2-0 ", count: 100)).count == 16)
    }
}
