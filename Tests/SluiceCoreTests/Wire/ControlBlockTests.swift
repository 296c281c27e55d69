// SPDX-License-Identifier: Apache-2.0
import Foundation
import SluiceCore
import Testing

@Suite("ControlBlock")
struct ControlBlockTests {
    private struct Gap: Decodable, Equatable {
        let from: String
        let to: String
        let topics: [String]
    }

    /// The data of the block's only event, decoded by Foundation.
    private static func gap(in block: String) throws -> (event: WHATWGStream.Event, gap: Gap) {
        let event = try #require(WHATWGStream(block.utf8).events.first)
        var data = ""
        for scalar in event.data { data.unicodeScalars.append(try #require(Unicode.Scalar(scalar))) }
        return (event, try JSONDecoder().decode(Gap.self, from: Data(data.utf8)))
    }

    @Test("the prelude sets the time to come back and makes no event")
    func prelude() {
        let block = ControlBlock.prelude(retryMilliseconds: 2741)
        #expect(block == "retry: 2741\n:\n")
        let stream = WHATWGStream((block + ControlBlock.heartbeat).utf8)
        #expect(stream.retry == 2741)
        #expect(stream.comments == 2)
        #expect(stream.events.isEmpty)
    }

    @Test("a time to come back is one line, in force without a blank line")
    func retry() {
        #expect(ControlBlock.retry(milliseconds: 12) == "retry: 12\n")
        #expect(WHATWGStream(ControlBlock.retry(milliseconds: 12).utf8).retry == 12)
    }

    @Test("a checkpoint moves the last event id by an event that onmessage does not see, with an empty data line")
    func checkpoint() {
        let block = ControlBlock.checkpoint(Cursor(EventID(7, 1)))
        #expect(block == "event: checkpoint\nid: 7-1\ndata:\n\n")
        #expect(WHATWGStream(block.utf8).events == [.init(type: "checkpoint", data: [], lastEventID: "7-1")])
    }

    @Test("a gap carries both ends and its targets, and an id where one is given")
    func gap() throws {
        let targets = [try Target.topic("a"), try Target.client("c"), .all]
        let from = EventID(1, 0)
        let to = EventID(9, 2)
        let (event, gap) = try ControlBlockTests.gap(
            in: ControlBlock.gap(from: from, to: to, targets: targets, id: Cursor(to)))
        #expect(event.type == "gap")
        #expect(event.lastEventID == "9-2")
        #expect(gap == Gap(from: "1-0", to: "9-2", topics: ["topic:a", "client:c", "all"]))
        let (silent, unknown) = try ControlBlockTests.gap(
            in: ControlBlock.gap(from: nil, to: nil, targets: [], id: nil))
        #expect(silent.lastEventID.isEmpty)
        #expect(unknown == Gap(from: "", to: "", topics: []))
    }

    @Test(
        "whatever a target's name holds, the gap's data is JSON and names it",
        arguments: [
            "\"", "\\", "\\\"", "a\"b\\c", "\"]", "\\u0041", "😀", "\u{FEFF}", "</script>", "日本",
            // A combining mark makes one character of itself and the quote or backslash before it.
            "a\"\u{301}", "a\\\u{301}", "\u{301}", "\"\u{200D}",
        ])
    func gapEscapes(_ name: String) throws {
        let target = try Target.topic(name)
        let block = ControlBlock.gap(from: nil, to: nil, targets: [target, target], id: nil)
        let names = try ControlBlockTests.gap(in: block).gap.topics
        #expect(names.map { Array($0.utf8) } == [Array("topic:\(name)".utf8), Array("topic:\(name)".utf8)])
    }
}
