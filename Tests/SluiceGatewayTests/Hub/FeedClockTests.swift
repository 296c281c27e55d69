// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOCore
import NIOEmbedded
import SluiceCore
import SluiceGateway
import Testing

/// What an event says of the time is a publisher's word. Only readings of the broker's clock count for others.
@Suite("The feed's clock")
struct FeedClockTests {
    private let node = ScriptedNode()
    private let a: Target

    init() throws {
        a = try .topic("a")
    }

    private static func id(_ milliseconds: UInt64) -> EventID { ScriptedNode.id(milliseconds) }

    private func listen(_ query: String = "topic=a") throws -> EmbeddedChannel {
        let (_, channel) = try node.open(query)
        node.tick()
        _ = try node.output(channel)
        return channel
    }

    @Test("shows how late a tick is from the oldest one that has not come, however many were sent behind it")
    func lateness() throws {
        func seconds() throws -> (sum: Double, count: String) {
            let samples = node.counters.feedTimes.samples.suffix(2).map(\.value)
            return (try #require(Double(samples[0])), samples[1])
        }
        // The node has had one tick, which came at once. Three are sent in this time, and it does not leave the feed yet.
        node.loop.advanceTime(by: .milliseconds(4500))
        node.tick()
        #expect(try seconds().sum >= 4.4 && seconds().count == "2")
        node.tick()
        #expect(try seconds().count == "2", "nothing is under way")
    }

    @Test("is asked to go on before the first stream of a node begins with it")
    func tickFirst() throws {
        let node = ScriptedNode(isUp: false)
        _ = try node.open("topic=a&last_event_id=\(FeedClockTests.id(1))")
        #expect(node.broker.ticksBeforeMark == 1)
    }

    @Test("is not moved by an event: not what the broker is told with the tick, nor what a stream is told as its place")
    func events() throws {
        let channel = try listen()
        let reading = node.broker.clock
        try node.receive("\(FeedClockTests.id(90))", "-", of: a)
        #expect(try node.output(channel).contains("id: \(FeedClockTests.id(90))\n"))
        node.hub.receive(.up())
        #expect(node.broker.ticks.last == reading)
        // Where this one begins the broker says.
        let fresh = try node.open("topic=a")
        #expect(try node.output(fresh.channel).contains("event: checkpoint\nid: \(reading)\n"))
        let other = try node.open("topic=b&last_event_id=garbage")
        #expect(try node.output(other.channel).contains("id: \(reading)\n"))
    }

    @Test("An id that the broker's own clock can't show yet is dropped, and read from the log if it was true after all")
    func future() throws {
        let channel = try listen()
        node.hub.receive(.serverTime(ScriptedNode.now, asked: node.loop.now))
        try node.receive("\(FeedClockTests.id(99))", "-", of: a)
        #expect(try node.output(channel).contains("data: \(FeedClockTests.id(99))"))
        // The clock leaps.
        let leap = FeedClockTests.id(30_000)
        try node.receive("\(leap)", "\(FeedClockTests.id(99))", of: a)
        #expect(try node.output(channel).isEmpty)
        #expect(node.counters.eventsDropped.value == 1)
        node.broker.logs[a] = [ScriptedNode.entry(leap, after: FeedClockTests.id(99), "leapt")]
        node.broker.clock = FeedClockTests.id(30_001)
        node.tick()
        #expect(try node.output(channel).contains("data: leapt"))
    }

    @Test("Its limit moves with the time that passes, not with the ids that came")
    func limit() throws {
        let channel = try listen()
        node.hub.receive(.serverTime(ScriptedNode.now, asked: node.loop.now))
        var accepted = 0
        for step: UInt64 in 1...20 {
            try node.receive("\(FeedClockTests.id(step * 90))", "-", of: a)
            accepted += try node.output(channel).contains("data:") ? 1 : 0
        }
        #expect(accepted == 1)
        node.loop.advanceTime(by: .seconds(1))
        try node.receive("\(FeedClockTests.id(1000))", "-", of: a)
        #expect(try node.output(channel).contains("data: \(FeedClockTests.id(1000))"))
    }

    @Test("While ticks are refused, streams that were given late events and went are forgotten")
    func lateEvents() throws {
        _ = try listen()
        weak var gone: SluiceGateway.Stream?
        do {
            let (stream, channel) = try node.open("topic=a")
            gone = stream
            try node.receive("\(FeedClockTests.id(50))", "-", of: a)
            try node.receive("\(FeedClockTests.id(20))", "-", of: a)
            #expect(try node.output(channel).contains("data: \(FeedClockTests.id(20))"))
            try channel.close().wait()
            node.loop.run()
        }
        // The wheel of timers lets go of what has ended once it is this many.
        for _ in 0..<1030 { try node.open("topic=a").channel.close().wait() }
        node.loop.run()
        #expect(gone == nil)
    }

    @Test("A feed that is silent is made anew; one that says why it is silent is not")
    func silence() throws {
        for _ in 0..<5 { node.loop.advanceTime(by: .seconds(2)) }
        #expect(node.broker.reconnects == 1)
        for _ in 0..<20 {
            node.loop.advanceTime(by: .seconds(2))
            node.hub.receive(.alive())
        }
        #expect(node.broker.reconnects == 1)
    }

    @Test("The end of a topic whose log is gone is told after an outage: a gap, the end, and 204 to who comes back")
    func end() throws {
        let (stream, channel) = try node.open("topic=a")
        node.tick()
        _ = try node.output(channel)
        node.hub.receive(.down())
        node.broker.markers[a] = LogMarker(id: FeedClockTests.id(5), ends: true)
        node.broker.clock = FeedClockTests.id(10)
        node.hub.receive(.confirmed(.all))
        node.hub.receive(.confirmed(a))
        node.hub.receive(.up())
        let output = try node.output(channel)
        #expect(output.contains("event: gap\nid: \(FeedClockTests.id(5))"))
        #expect(stream.machine.phase() == .ended)
        node.tick()
        let back = try node.open("topic=a&last_event_id=\(FeedClockTests.id(5))")
        #expect(try node.output(back.channel).hasPrefix("HTTP/1.1 204 "))
    }

    @Test("What one target sends during a repair of the whole feed does not cost the others theirs")
    func flood() throws {
        let channel = try listen("topic=b")
        let flooded = try listen("topic=a")
        node.hub.receive(.down())
        node.broker.failsToRead = true
        node.broker.logs[a] = [ScriptedNode.entry(FeedClockTests.id(1), "logged")]
        node.broker.clock = FeedClockTests.id(10)
        node.hub.receive(.up())
        node.loop.run()
        let b = try Target.topic("b")
        try node.receive("one".utf8, of: b)
        let megabyte = [UInt8](repeating: 0x78, count: 1 << 20)
        for _ in 0..<70 { try node.receive(megabyte, of: a) }
        try node.receive("two".utf8, of: b)
        #expect(node.broker.reconnects == 0)
        #expect(try node.output(flooded).contains(#"{"from":"","to":"","topics":["topic:a"]}"#))
        node.broker.failsToRead = false
        node.loop.advanceTime(by: .seconds(1))
        let data = try node.output(channel).split(separator: "\n").filter { $0.hasPrefix("data: ") }
        #expect(data == ["data: one", "data: two"])
    }
}
