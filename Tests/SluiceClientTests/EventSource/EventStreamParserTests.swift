// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import TestSupport
import Testing

@testable import SluiceClient

@Suite struct EventStreamParserTests {
    typealias Event = EventStreamParser.Event
    typealias Output = EventStreamParser.Output

    // MARK: The standard's own examples

    @Test func linesOfDataAreJoined() {
        #expect(
            events("data: YHOO\ndata: +2\ndata: 10\n\n") == [message("YHOO\n+2\n10")])
    }

    /// "Four blocks": a comment, an id, a reset of the id, a block that the end of the stream cuts off.
    @Test func idsOfTheStandardsExample() {
        let stream = ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n"
        #expect(
            outputs(stream) == [
                .comment(" test stream"),
                .event(Event(type: "message", data: "first event", id: "1", lastEventID: "1")),
                .event(Event(type: "message", data: "second event", id: "", lastEventID: "")),
            ])
    }

    @Test func emptyDataStillMakesAnEvent() {
        #expect(events("data\n\ndata\ndata\n\ndata:\n") == [message(""), message("\n")])
    }

    @Test func oneSpaceAfterTheColonIsDropped() {
        #expect(
            events("data:test\n\ndata: test\n\ndata:  test\n\n") == [
                message("test"), message("test"), message(" test"),
            ])
    }

    // MARK: Lines

    @Test(arguments: ["\n", "\r", "\r\n"])
    func everyLineEnd(_ end: String) {
        let stream = ["event: a", "data: 1", "", "data: 2", "", ""].joined(separator: end)
        #expect(events(stream) == [Event(type: "a", data: "1", id: nil, lastEventID: ""), message("2")])
    }

    @Test func lineEndsMayBeMixed() {
        #expect(events("data: 1\r\ndata: 2\rdata: 3\n\r\ndata: 4\r\r") == [message("1\n2\n3"), message("4")])
    }

    @Test func oneByteOrderMarkIsDroppedAtTheStart() {
        #expect(
            events("\u{FEFF}data: 1\n\n\u{FEFF}data: 2\n\ndata: \u{FEFF}3\n\n") == [message("1"), message("\u{FEFF}3")])
        #expect(events("\u{FEFF}\u{FEFF}data: 1\n\ndata: 2\n\n") == [message("2")])
    }

    @Test func fieldsThatAreNotKnownAreIgnored() {
        #expect(events("DATA: 1\ndata : 2\n data: 3\ndatas: 4\ndata: 5\nfoo\n\n") == [message("5")])
    }

    @Test func commentsAreHandedOut() {
        #expect(outputs(":\n: hello\n:\n") == [.comment(""), .comment(" hello"), .comment("")])
    }

    @Test func invalidUTF8IsReplaced() {
        let bytes: [UInt8] =
            Array("data: a".utf8) + [0xFF, 0xC3] + Array("\ndata: ".utf8) + [0xE2, 0x82] + [0x0A, 0x0A]
        #expect(events(bytes) == [message("a\u{FFFD}\u{FFFD}\n\u{FFFD}")])
    }

    @Test func controlCharactersAreData() {
        #expect(events("data: a\u{0}b\u{B}\u{2028}\u{85}c\n\n") == [message("a\u{0}b\u{B}\u{2028}\u{85}c")])
    }

    // MARK: Fields

    @Test func typeLastsForOneEvent() {
        #expect(
            events("event: a\nevent: b\ndata: 1\n\ndata: 2\n\nevent: c\n\ndata: 3\n\nevent:\ndata: 4\n\n") == [
                Event(type: "b", data: "1", id: nil, lastEventID: ""), message("2"), message("3"), message("4"),
            ])
    }

    @Test func idLastsUntilTheNext() {
        #expect(
            events("id: 1\ndata: a\n\ndata: b\n\nid: 2\nid: 3\ndata: c\n\n") == [
                Event(type: "message", data: "a", id: "1", lastEventID: "1"),
                Event(type: "message", data: "b", id: nil, lastEventID: "1"),
                Event(type: "message", data: "c", id: "3", lastEventID: "3"),
            ])
    }

    @Test func idWithNULIsIgnored() {
        #expect(
            events("id: 1\ndata: a\n\nid: 2\u{0}\ndata: b\n\n") == [
                Event(type: "message", data: "a", id: "1", lastEventID: "1"),
                Event(type: "message", data: "b", id: nil, lastEventID: "1"),
            ])
    }

    @Test func cursorMovesWithTheBlankLine() throws {
        var parser = EventStreamParser(lastEventID: "0")
        try feed("id: 1\n", to: &parser)
        #expect(parser.lastEventID == "0")
        try feed("\n", to: &parser)
        #expect(parser.lastEventID == "1", "also without data")
        try feed("id: 2\ndata: lost", to: &parser)
        parser.end()
        #expect(parser.lastEventID == "1")
        let next = try feed("data: x\n\n", to: &parser)
        #expect(next == [.event(Event(type: "message", data: "x", id: nil, lastEventID: "1"))])
    }

    @Test func retryTakesDigitsOnly() {
        let stream = "retry: 2741\nretry: 10x\nretry:\nretry: -1\nretry: +1\nretry:  5\nretry: 007\nretry: ٣\n"
        #expect(outputs(stream) == [.retry(milliseconds: 2741), .retry(milliseconds: 7)])
        #expect(outputs("retry: 99999999999999999999\n") == [.retry(milliseconds: .max)])
    }

    @Test func gatewaysPreludeAndCheckpoint() {
        let stream =
            ControlBlock.prelude(retryMilliseconds: 2000) + ControlBlock.checkpoint(Cursor(EventID(5, 0)))
            + ControlBlock.heartbeat
        #expect(
            outputs(stream) == [
                .retry(milliseconds: 2000), .comment(""),
                .event(Event(type: "checkpoint", data: "", id: "5-0", lastEventID: "5-0")), .comment(""),
            ])
    }

    // MARK: Pieces

    @Test func piecesOfAnySizeMakeNoDifference() throws {
        let stream = Array(
            "\u{FEFF}retry: 10\r\n: c\r\rid: ä\r\nevent: 🐟\rdata: x\u{0}y\ndata:\r\n\r\n\ndata: 🐠\r\n\r\ndata: end".utf8
        )
        let whole = outputs(stream)
        #expect(whole.count == 4)
        for first in 0...stream.count {
            for second in first...stream.count {
                var parser = EventStreamParser()
                var result = try feed(stream[..<first], to: &parser)
                result += try feed(stream[first..<second], to: &parser)
                result += try feed(stream[second...], to: &parser)
                #expect(result == whole, "cut at \(first) and \(second)")
            }
        }
    }

    /// Random lines against a second, naive reading of the standard: split the text into lines, then go through them.
    @Test func randomStreamsAgainstANaiveParser() throws {
        var generator = SeededGenerator(seed: 0x51_0C_E5)
        let pieces = [
            "data", "event", "id", "retry", ":", ": ", " ", "\n", "\r", "\r\n", "\n\n", "1", "12", "x", "\u{0}", "ä",
            "🐟",
            "\u{FEFF}", "data: ", "id: ",
        ]
        for _ in 0..<2000 {
            let text = (0..<Int.random(in: 0...60, using: &generator))
                .map { _ in pieces.randomElement(using: &generator) ?? "" }.joined()
            var parser = EventStreamParser()
            var result: [Output] = []
            var rest = Array(text.utf8)[...]
            while !rest.isEmpty {
                let piece = rest.prefix(Int.random(in: 1...8, using: &generator))
                rest = rest.dropFirst(piece.count)
                result += try feed(piece, to: &parser)
            }
            #expect(result == naive(text), "\(text.debugDescription)")
        }
    }

    // MARK: Limits

    @Test func longLinesAreRefused() throws {
        var parser = EventStreamParser(bytesMax: 16)
        #expect(try feed("data: 0123456789\n\n", to: &parser).count == 1)
        #expect(throws: EventStreamParser.TooLong(bytesMax: 16)) { try feed("data: 0123456789a\n", to: &parser) }
        var other = EventStreamParser(bytesMax: 16)
        #expect(throws: EventStreamParser.TooLong.self) {
            for _ in 0..<17 { try feed("x", to: &other) }
        }
    }

    @Test func longEventsAreRefused() throws {
        var parser = EventStreamParser(bytesMax: 16)
        #expect(throws: EventStreamParser.TooLong.self) {
            for _ in 0..<5 { try feed("data: 1234\n", to: &parser) }
        }
    }

    // MARK: Help

    private func message(_ data: String) -> Event {
        Event(type: "message", data: data, id: nil, lastEventID: "")
    }

    @discardableResult
    private func feed(_ text: String, to parser: inout EventStreamParser) throws -> [Output] {
        try feed(Array(text.utf8)[...], to: &parser)
    }

    @discardableResult
    private func feed(_ bytes: ArraySlice<UInt8>, to parser: inout EventStreamParser) throws -> [Output] {
        var result: [Output] = []
        try parser.read(ByteBuffer(bytes: bytes)) { result.append($0) }
        return result
    }

    private func outputs(_ bytes: [UInt8]) -> [Output] {
        var parser = EventStreamParser()
        return (try? feed(bytes[...], to: &parser)) ?? []
    }

    private func outputs(_ text: String) -> [Output] {
        outputs(Array(text.utf8))
    }

    private func events(_ bytes: [UInt8]) -> [Event] {
        outputs(bytes).compactMap { if case .event(let event) = $0 { event } else { nil } }
    }

    private func events(_ text: String) -> [Event] {
        events(Array(text.utf8))
    }

    private func naive(_ text: String) -> [Output] {
        var scalars = Array(text.unicodeScalars)
        if scalars.first == "\u{FEFF}" { scalars.removeFirst() }
        var normal = String.UnicodeScalarView()
        for (index, scalar) in scalars.enumerated() {
            if scalar == "\n", index > 0, scalars[index - 1] == "\r" { continue }
            normal.append(scalar == "\r" ? "\n" : scalar)
        }
        let lines = normal.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map { String($0) }
        var result: [Output] = []
        var data: [String] = []
        var type = ""
        var own: String?
        var last = ""
        for line in lines {
            if line.unicodeScalars.isEmpty {
                if !data.isEmpty {
                    result.append(
                        .event(
                            Event(
                                type: type.isEmpty ? "message" : type, data: data.joined(separator: "\n"), id: own,
                                lastEventID: last)))
                }
                (data, type, own) = ([], "", nil)
                continue
            }
            // On scalars: a combining character must not swallow the colon.
            let parts = line.unicodeScalars.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            var value = parts.count > 1 ? Substring(parts[1]) : ""
            if name.unicodeScalars.isEmpty {
                result.append(.comment(String(value)))
                continue
            }
            if value.unicodeScalars.first == " " { value.unicodeScalars.removeFirst() }
            switch name {
            case "data": data.append(String(value))
            case "event": type = String(value)
            case "id" where !value.unicodeScalars.contains("\u{0}"):
                own = String(value)
                last = String(value)
            case "retry":
                if let number = Int64(value), value.unicodeScalars.allSatisfy({ ("0"..."9").contains($0) }) {
                    result.append(.retry(milliseconds: number))
                }
            default: break
            }
        }
        return result
    }
}
