// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOEmbedded
import SluiceCore
import SluiceGateway
import Testing

@Suite("A gap")
struct GapTests {
    private let node = ScriptedNode()
    private let a: Target
    private let b: Target

    init() throws {
        a = try .topic("a")
        b = try .topic("b")
    }

    private static func id(_ milliseconds: UInt64) -> EventID { ScriptedNode.id(milliseconds) }

    /// A stream whose log can't be read, and which is owed a gap.
    private func owed(_ targets: [Target]) throws -> (stream: Stream, channel: EmbeddedChannel) {
        node.broker.failsToRead = true
        let opened = try node.open("topic=a&topic=b&last_event_id=\(EventID(ScriptedNode.now - 1000, 0))")
        #expect(opened.stream.machine.phase() == .replaying)
        _ = try node.output(opened.channel)
        node.shard.receive(.gap(Gap(from: GapTests.id(0), to: GapTests.id(5), targets: targets), id: nil, in: .first))
        #expect(opened.stream.machine.owed() != nil)
        return opened
    }

    @Test(
        "that is owed to a stream is not sent once the stream's connection is closed: its descriptor may be another's")
    func owedToClosed() throws {
        let (stream, channel) = try owed([a])
        try channel.close().wait()
        node.loop.run()
        #expect(stream.machine.phase() == .ended && stream.machine.owed() == nil)
        node.loop.advanceTime(by: .seconds(1))
        #expect(node.counters.gaps.value == 0)
    }

    @Test("that is owed names the stream's own targets only, however many have lost something")
    func ownTargets() throws {
        let others = try (0..<500).map { try Target.topic("other\($0)") }
        let (stream, _) = try owed(others + [a])
        #expect(stream.machine.owed()?.targets == [a])
    }

    @Test("reaches a stream that another topic has moved on, without an id; not one that began behind it")
    func movedOn() throws {
        let moved = try node.open("topic=a&topic=b")
        try node.receive("\(GapTests.id(10))", "-", of: b)
        #expect(moved.stream.machine.floor() == GapTests.id(10))
        node.broker.clock = GapTests.id(10)
        let later = try node.open("topic=a")
        _ = try node.output(moved.channel)
        _ = try node.output(later.channel)
        node.shard.receive(
            .gap(Gap(from: GapTests.id(0), to: GapTests.id(5), targets: [a]), id: GapTests.id(5), in: .first))
        let told = try node.output(moved.channel)
        #expect(told.contains("event: gap") && told.contains("topic:a") && !told.contains("id:"))
        #expect(try node.output(later.channel).isEmpty)
    }

    @Test(
        "is told before anything of a data set that came back younger, to a stream that came back before it was known")
    func youngerDataSet() throws {
        node.hub.receive(.down())
        let (stream, channel) = try node.open("topic=a&last_event_id=\(EventID(ScriptedNode.now - 1000, 0))")
        node.broker.born = ScriptedNode.now
        node.broker.logs[a] = [ScriptedNode.entry(GapTests.id(1), "younger")]
        node.broker.clock = GapTests.id(2)
        node.loop.advanceTime(by: .seconds(1))
        let early = try node.output(channel)
        for target in [Target.all, a] { node.hub.receive(.confirmed(target)) }
        node.hub.receive(.up())
        node.loop.advanceTime(by: .seconds(1))
        node.tick()
        node.loop.advanceTime(by: .seconds(1))
        let text = try early + node.output(channel)
        let gap = try #require(text.firstRange(of: "event: gap"))
        let event = try #require(text.firstRange(of: "data: younger"))
        #expect(gap.lowerBound < event.lowerBound && stream.machine.isLive)
    }

    @Test("takes no reading of a Redis that came back before that has been told which ids were given out")
    func readingsHeldBack() throws {
        node.hub.receive(.down())
        let before = node.hub.mark(.first, markersOf: [])
        #expect(throws: PublishFailure.self) { try before.wait() }
        for target in [Target.all, a] { node.hub.receive(.confirmed(target)) }
        node.hub.receive(.up())
        node.loop.run()
        let after = node.hub.mark(.first, markersOf: [])
        node.loop.run()
        #expect(try after.wait().clock == node.broker.clock)
    }

    @Test("tells that a log can't be read; the other topics' events come, from their logs and live")
    func unreadable() throws {
        node.broker.logs[a] = [ScriptedNode.entry(GapTests.id(0), "logged")]
        node.broker.unreadable = [b]
        let (_, channel) = try node.open("topic=a&topic=b&last_event_id=earliest")
        try node.receive("live", of: a)
        let text = try node.output(channel)
        #expect(text.contains("event: gap") && text.contains(#""topics":["topic:b"]"#))
        #expect(text.contains("data: logged\n\n") && text.contains("data: live\n\n"))
        #expect(node.broker.reads == 1)
    }

    @Test("of everybody's log is no part of earliest where something else was asked for; a cursor brings it back")
    func earliestOfAll() throws {
        node.broker.logs[a] = [ScriptedNode.entry(GapTests.id(0), "of a")]
        node.broker.logs[.all] = [ScriptedNode.entry(EventID(ScriptedNode.now - 5, 0), "of all")]
        let earliest = try node.open("topic=a&last_event_id=earliest")
        let early = try node.output(earliest.channel)
        #expect(early.contains("of a\n") && !early.contains("of all"))
        let resumed = try node.open("topic=a&last_event_id=\(EventID(ScriptedNode.now - 10, 0))")
        let text = try node.output(resumed.channel)
        #expect(text.contains("of a\n") && text.contains("of all"))
        let broadcast = try node.open("last_event_id=earliest")
        #expect(try node.output(broadcast.channel).contains("of all"))
    }

    @Test("A stream that conflates gets of its logs the newest event of each key: the present state, then its changes")
    func snapshot() throws {
        func priced(_ number: UInt64, _ key: String?) -> LogEntry {
            LogEntry(
                id: EventID(ScriptedNode.now - 100 + number, 0),
                previous: number > 1 ? EventID(ScriptedNode.now - 101 + number, 0) : nil,
                event: Event(ByteBuffer(string: "e\(number)"), key: key))
        }
        node.broker.logs[a] = [priced(1, "eur"), priced(2, "usd"), priced(3, nil), priced(4, "eur"), priced(5, "usd")]
        let (_, channel) = try node.open("topic=a&last_event_id=available&conflate=1")
        let text = try node.output(channel)
        #expect(text.matches(of: /data: (e[0-9])/).map { String($0.1) } == ["e3", "e4", "e5"])
        #expect(!text.contains("event: gap"))
        let plain = try node.open("topic=a&last_event_id=available")
        #expect(try node.output(plain.channel).matches(of: /data: e/).count == 5)
    }

    @Test(
        "is none where a socket stops in a replay: each event comes once, whole and in order",
        arguments: [100, 20_000, 100_000])
    func socketStops(bytes: Int) throws {
        var previous: EventID?
        node.broker.logs[a] = (0..<40).map { number in
            let id = EventID(ScriptedNode.now - 100 + UInt64(number), 0)
            defer { previous = id }
            // Small ones between the large, because those are gathered.
            let data = "n\(number)." + String(repeating: "x", count: number.isMultiple(of: 3) ? 10 : bytes)
            return ScriptedNode.entry(id, after: previous, data)
        }
        let (_, channel) = try node.open("topic=a&last_event_id=earliest")
        let text = try node.output(channel)
        #expect(text.matches(of: /data: n([0-9]+)\./).map { Int($0.1) } == Array(0..<40))
        #expect(!text.contains("event: gap") && text.count(where: { $0 == "x" }) > 26 * bytes)
    }
}
