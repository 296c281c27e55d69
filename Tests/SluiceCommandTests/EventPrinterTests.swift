// SPDX-License-Identifier: Apache-2.0
import SluiceClient
import Testing

@testable import sluice

@Suite struct EventPrinterTests {
    private typealias Event = ServerSentEvent

    @Test func forAPerson() {
        let printer = EventPrinter(isJSON: false, isTerminal: false)
        #expect(printer.text(Event(data: "hello", id: "5-0", lastEventID: "5-0")) == "message 5-0 hello\n")
        #expect(printer.text(Event(type: "a", data: "", lastEventID: "5-0")) == "a -\n")
        #expect(printer.text(Event(data: "1\n\n 2")) == "message -\n    1\n    \n     2\n")
    }

    @Test func controlCharactersAreShownOnAScreen() {
        let event = Event(type: "\u{1B}[2J", data: "a\u{7}\tb\u{9B}c")
        #expect(EventPrinter(isJSON: false, isTerminal: true).text(event) == "\\u{1b}[2J - a\\u{7}\tb\\u{9b}c\n")
        #expect(EventPrinter(isJSON: false, isTerminal: false).text(event) == "\u{1B}[2J - a\u{7}\tb\u{9B}c\n")
    }

    @Test func asJSON() throws {
        let printer = EventPrinter(isJSON: true, isTerminal: true)
        let text = printer.text(Event(type: "a\"", data: "1\n\u{1}🐟", id: "5-0"))
        #expect(text == "{\"type\":\"a\\\"\",\"id\":\"5-0\",\"data\":\"1\\n\\u0001🐟\"}\n")
        #expect(printer.text(Event(data: "")) == "{\"type\":\"message\",\"id\":null,\"data\":\"\"}\n")
    }
}
