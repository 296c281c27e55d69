// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOEmbedded
import SluiceCore
import SluiceGateway
import Testing

@Suite("A late event")
struct LateEventTests {
    private let node = ScriptedNode()
    private let a: Target
    private let b: Target

    init() throws {
        a = try .topic("a")
        b = try .topic("b")
    }

    private static func id(_ milliseconds: UInt64) -> EventID { ScriptedNode.id(milliseconds) }

    /// The clock has passed the id of what comes of `a`.
    private func comesLate(_ header: String = "") throws -> (stream: Stream, channel: EmbeddedChannel) {
        let opened = try node.open("topic=a")
        _ = try node.open("topic=b")
        _ = try node.output(opened.channel)
        try node.receive("\(Self.id(10))", "-", of: b)
        try node.receive("\u{1E}1 \(Self.id(5)) -\n\(header)\nlate", of: a)
        #expect(try node.output(opened.channel) == "data: late\n\n", "without an id")
        return opened
    }

    @Test("is followed by a checkpoint at the next reading of the clock, so that it does not come again")
    func checkpoint() throws {
        let (_, channel) = try comesLate()
        node.broker.clock = Self.id(20)
        node.tick()
        #expect(try node.output(channel).contains("event: checkpoint\nid: \(Self.id(20))\n"))
        node.tick()
        #expect(try node.output(channel).isEmpty)
    }

    @Test("that closes its topic ends the topic's streams, once its checkpoint is out")
    func closes() throws {
        let (stream, channel) = try comesLate("end\n")
        #expect(stream.machine.phase() == .live)
        node.broker.clock = Self.id(20)
        node.tick()
        #expect(try node.output(channel).contains("event: checkpoint\nid: \(Self.id(20))\n"))
        #expect(stream.machine.phase() == .ended)
    }
}
