// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOEmbedded
import SluiceCore
import SluiceGateway
import Testing

@Suite("A stream that Redis lets wait")
struct OpeningTests {
    private let node = ScriptedNode()
    private let topic: Target

    init() throws {
        topic = try .topic("a")
    }

    @Test("gets its head after a second, and then everything that was published since, from its log")
    func promised() throws {
        node.broker.confirms = false
        let (_, channel) = try node.open("topic=a")
        #expect(try node.output(channel).isEmpty)
        node.loop.advanceTime(by: .milliseconds(1200))
        #expect(try node.output(channel).hasPrefix("HTTP/1.1 200"))

        node.broker.logs[topic] = [
            ScriptedNode.entry(EventID(ScriptedNode.now - 5, 0), "before its head"),
            ScriptedNode.entry(ScriptedNode.id(10), "after its head"),
        ]
        node.broker.clock = ScriptedNode.id(20)
        node.hub.receive(.confirmed(topic))
        let text = try node.output(channel)
        #expect(text.contains("data: after its head\n\n") && !text.contains("before its head"))
        #expect(text.contains("id: \(ScriptedNode.id(20))\n"), "its cursor is where it went live")
    }

    @Test("begins with what comes from then on if it has no head yet")
    func notPromised() throws {
        node.broker.confirms = false
        let (_, channel) = try node.open("topic=a")
        node.broker.logs[topic] = [ScriptedNode.entry(ScriptedNode.id(10), "before its head")]
        node.broker.clock = ScriptedNode.id(20)
        node.hub.receive(.confirmed(topic))
        let text = try node.output(channel)
        #expect(text.hasPrefix("HTTP/1.1 200") && !text.contains("before its head"))
        #expect(node.broker.reads == 0)
    }
}

@Suite("A crowd that comes at once")
struct CrowdTests {
    private let node = ScriptedNode()
    /// The node itself has asked for some when it began.
    private let asked: Int
    private let ticks: Int

    init() {
        asked = node.broker.marks
        ticks = node.broker.ticks.count
    }

    private var readings: Int { node.broker.marks - asked }

    private func opens(_ query: String) throws {
        #expect(try node.output(node.open(query).channel).hasPrefix("HTTP/1.1 200"))
    }

    @Test("has one reading of Redis between all that begin in a turn of the loop")
    func sharedReading() throws {
        let channels = try (0..<100).map { _ in try node.begin("topic=a").channel }
        #expect(readings == 0)
        for channel in channels { #expect(try node.output(channel).hasPrefix("HTTP/1.1 200")) }
        #expect(readings == 1)
    }

    @Test("and goes on coming has a tick asked for, and whoever listens to the same needs no reading then")
    func earlyTick() throws {
        for number in 0..<15 { try opens("topic=\(number)") }
        #expect(readings == 15 && node.broker.ticks.count == ticks)
        try opens("topic=15")
        #expect(readings == 16 && node.broker.ticks.count == ticks + 1)
        // It comes through the feed.
        node.tick()
        for number in 0..<16 { try opens("topic=\(number)") }
        #expect(readings == 16)
    }
}
