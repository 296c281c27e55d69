// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOCore
import NIOEmbedded
import SluiceCore
import SluiceGateway
import Testing

@Suite("Hub")
struct HubTests {
    private let node = ScriptedNode()
    private let a: Target

    init() throws {
        a = try .topic("a")
    }

    private static let now = ScriptedNode.now
    private static func id(_ milliseconds: UInt64) -> EventID { ScriptedNode.id(milliseconds) }

    /// A stream whose topic the hub listens to for sure.
    private func listen() throws -> EmbeddedChannel {
        let (_, channel) = try node.open("topic=a")
        node.tick()
        _ = try node.output(channel)
        return channel
    }

    @Test("A predecessor that is nowhere is looked for once, and told as a gap before the event that names it")
    func forgedPredecessor() throws {
        let channel = try listen()
        try node.receive("\(HubTests.id(20))", "\(HubTests.id(10))", of: a)
        try node.receive("\(HubTests.id(30))", "\(HubTests.id(10))", of: a)
        let output = try node.output(channel)
        let gap = try #require(output.range(of: "event: gap"))
        let event = try #require(output.range(of: "data: \(HubTests.id(20))"))
        #expect(gap.upperBound < event.lowerBound)
        #expect(output.contains(#""from":"\#(HubTests.id(0))","to":"\#(HubTests.id(10))","topics":["topic:a"]"#))
        #expect(output.contains("data: \(HubTests.id(30))"))
        #expect(node.counters.repairs.value == 1 && node.counters.gaps.value == 1)
        #expect(node.broker.reads == 1)
    }

    @Test("A predecessor that was lost on its way is read from its log, and no gap")
    func lostPredecessor() throws {
        let channel = try listen()
        node.broker.logs[a] = [ScriptedNode.entry(HubTests.id(10), "ten")]
        try node.receive("\(HubTests.id(20))", "\(HubTests.id(10))", of: a)
        let output = try node.output(channel)
        let first = try #require(output.range(of: "data: ten"))
        let second = try #require(output.range(of: "data: \(HubTests.id(20))"))
        #expect(first.upperBound < second.lowerBound)
        #expect(!output.contains("event: gap") && node.counters.repairs.value == 1)
    }

    @Test(
        "An envelope whose ids can't be true starts no repair; with an id from the future it is dropped and counted",
        arguments: [
            ("\(id(20))", "\(id(20))", false), ("\(id(20))", "\(id(21))", false), ("-", "\(id(10))", false),
            ("-", "1-0", false), ("\(id(20))", "999999999999999-999999999999999", false),
            ("\(id(70_000))", "\(id(69_000))", true), ("\(EventID.max)", "\(EventID(.max, 0))", true),
            ("\(now)-1000000000000000", "-", true), ("\(id(20))", "\(EventID.max)", true),
        ])
    func impossibleIDs(id: String, previous: String, isDropped: Bool) throws {
        let channel = try listen()
        try node.receive(id, previous, of: a)
        #expect(node.counters.eventsDropped.value == (isDropped ? 1 : 0))
        #expect(try node.output(channel).contains("data: \(id)") == !isDropped)
        #expect(node.counters.repairs.value == 0 && node.broker.reads == 0)
        try node.receive("\(HubTests.id(5))", "-", of: a)
        #expect(try node.output(channel).hasSuffix("data: \(HubTests.id(5))\n\n"))
    }

    @Test("A channel that is wanted again while it is unsubscribed has missed something: a resume reads its log")
    func wantedAgain() throws {
        let client = try Target.client("c")
        let first = try node.open("client=c")
        node.tick()
        try first.channel.close().wait()
        node.loop.run()
        node.broker.logs[client] = [ScriptedNode.entry(HubTests.id(50), "missed")]
        node.broker.clock = HubTests.id(100)
        node.tick()
        node.broker.confirms = false
        let second = try node.open("client=c&last_event_id=\(HubTests.id(10))")
        node.hub.receive(.confirmed(client))
        #expect(try node.output(second.channel).contains("data: missed"))
    }

    @Test("Those events count as published that the broker has taken, not those that it refused")
    func publishedAreTaken() throws {
        let event = Event(ByteBuffer(string: "x"))
        _ = node.hub.publish(try (0..<3).map { Publication(event, to: try .topic("t\($0)")) })
        for isTaken in [true, false, true] {
            let promise = node.broker.publishing.removeFirst()
            if isTaken {
                promise.succeed(Receipt(id: nil, nodes: 1))
            } else {
                promise.fail(PublishFailure.unavailable("full"))
            }
        }
        node.loop.run()
        #expect(node.counters.eventsPublished.value == 2)
    }

    @Test("Of a request with many events only a window's worth is under way to the broker, and all are answered")
    func publishWindow() throws {
        let event = Event(ByteBuffer(string: "x"))
        let publications = try (0..<100).map { Publication(event, to: try .topic("t\($0)")) }
        var answered = 0
        node.hub.publish(publications).assumeIsolated().whenSuccess { answered = $0.count }
        var most = 0
        while !node.broker.publishing.isEmpty {
            most = max(most, node.broker.publishing.count)
            node.broker.publishing.removeFirst().succeed(Receipt(id: nil, nodes: 1))
            node.loop.run()
        }
        #expect(most == PublishQueue.windowStandard && answered == 100)
    }

    @Test(
        "Events that wait for a partition which is away keep no other partition's waiting, and answers keep their order"
    )
    func otherPartitions() throws {
        let node = ScriptedNode(.cluster)
        let event = Event(ByteBuffer(string: "x"))
        let topics = try (0..<400).map { try Target.topic("t\($0)") }
        let away = Partitioning.cluster.partition(of: topics[0])
        let waiting = topics.filter { Partitioning.cluster.partition(of: $0) == away }
        let other = try #require(topics.first { Partitioning.cluster.partition(of: $0) != away })
        var answered: [Int] = []
        for _ in 0..<3 { _ = node.hub.publish(waiting.map { Publication(event, to: $0) }) }
        node.hub.publish([waiting[0], other, waiting[1]].map { Publication(event, to: $0) }).assumeIsolated()
            .whenSuccess {
                answered = $0.compactMap { try? $0.get().nodes }
            }
        #expect(
            node.broker.published.contains(other) && node.broker.publishing.count == PublishQueue.windowStandard + 1)
        for turn in 0..<1000 where !node.broker.publishing.isEmpty {
            let target = node.broker.published[turn]
            node.broker.publishing.removeFirst().succeed(Receipt(id: nil, nodes: target == other ? 2 : 1))
            node.loop.run()
        }
        #expect(answered == [1, 2, 1])
    }
}
