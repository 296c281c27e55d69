// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import Testing

@Suite("Cursor")
struct CursorTests {
    @Test("a cursor prints as the id that a client sends back, and parses from it")
    func roundTrip() throws {
        let cursor = Cursor(EventID(1_763_720_001_234, 7))
        #expect(cursor.description == "1763720001234-7")
        let parsed = try #require(Cursor("1763720001234-7"))
        #expect(parsed == cursor)
        #expect(parsed.id == EventID(1_763_720_001_234, 7))
    }

    @Test(
        "what a hostile client may send is no cursor",
        arguments: ["", "earliest", "$", "../../etc", "1-1\r\nX: y", "-1-1", "1-1;2-2", "1763720001234", "null", "٣-٣"])
    func refuses(_ text: String) {
        #expect(Cursor(text) == nil)
    }

    @Test("a cursor is safe in a header that browsers do not preflight: digits and a hyphen, at most 128 bytes")
    func headerSafe() {
        let text = Cursor(.max).description
        #expect(text.utf8.count <= 128)
        #expect(text.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2D })
    }
}
