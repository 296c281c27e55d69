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
