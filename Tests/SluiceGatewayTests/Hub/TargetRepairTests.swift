// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOCore
import NIOEmbedded
import SluiceCore
import SluiceGateway
import Testing

/// Whoever may publish to one topic can name predecessors that never were. The budget: one reading of that topic's log
/// and one gap in two seconds, 2 MiB that are held back, and nothing of anybody else's.
@Suite("A repair of one target")
struct TargetRepairTests {
    private let node = ScriptedNode()
    private let a: Target
    private let b: Target

    init() throws {
        a = try .topic("a")
        b = try .topic("b")
    }

    private static func id(_ milliseconds: UInt64) -> EventID { ScriptedNode.id(milliseconds) }

    private func listen(_ query: String) throws -> EmbeddedChannel {
        let (_, channel) = try node.open(query)
        node.tick()
        _ = try node.output(channel)
        return channel
    }

    /// An envelope whose predecessor never was; `number` counts them.
    private func forge(_ number: UInt64, _ data: String = "") throws {
        let id = EventID(ScriptedNode.now + 1, 2 * number + 2)
        let previous = EventID(ScriptedNode.now + 1, 2 * number + 1)
        try node.receive("\u{1E}1 \(id) \(previous)\n\nforged \(number).\(data)".utf8, of: a)
    }

    private func count(_ text: String, in output: String) -> Int { output.ranges(of: text).count }

    @Test("does not hold another target's events back")
    func others() throws {
        let channel = try listen("topic=b")
        _ = try listen("topic=a")
        node.broker.failsToRead = true
        try forge(0)
        try node.receive("\(TargetRepairTests.id(5))", "-", of: b)
        #expect(try node.output(channel).hasSuffix("data: \(TargetRepairTests.id(5))\n\n"))
        #expect(node.counters.repairs.value == 1)
    }

    @Test("reads its log once in two seconds and tells one gap, however many ids are forged; every event arrives")
    func budget() throws {
        let channel = try listen("topic=a")
        for number: UInt64 in 0..<1000 { try forge(number) }
        var output = try node.output(channel)
        #expect(count("data: forged", in: output) == 1000 && count("event: gap", in: output) == 1)
        for number: UInt64 in 1000..<2000 { try forge(number) }
        output = try node.output(channel)
        #expect(output.isEmpty, "they wait for the next time that the log may be read")
        node.loop.advanceTime(by: .seconds(2))
        output = try node.output(channel)
        #expect(count("data: forged", in: output) == 1000 && count("event: gap", in: output) == 1)
        #expect(node.counters.repairs.value == 2 && node.broker.reads == 2)
    }

    @Test("holds no more than 2 MiB: then what is missing is told as a gap, without a look into the log")
    func heldBytes() throws {
        let channel = try listen("topic=a")
        try forge(0)
        _ = try node.output(channel)
        let data = String(repeating: "x", count: 900)
        var number: UInt64 = 1
        var output = ""
        while output.isEmpty, number < 5000 {
            try forge(number, data)
            number += 1
            output = try node.output(channel)
        }
        #expect(number < 2 * 1024 * 1024 / 900)
        #expect(count("data: forged", in: output) == number - 1 && count("event: gap", in: output) == 1)
        #expect(node.broker.reads == 1)
    }

    @Test("delivers what the log has of the first hole, and looks again for a second one behind it")
    func twoHoles() throws {
        let channel = try listen("topic=a")
        let ids = (0...50).map { TargetRepairTests.id(UInt64($0)) }
        node.broker.logs[a] = [ScriptedNode.entry(ids[10], "ten")]
        try node.receive("\u{1E}1 \(ids[20]) \(ids[10])\n\ntwenty".utf8, of: a)
        try node.receive("\u{1E}1 \(ids[40]) \(ids[30])\n\nforty".utf8, of: a)
        node.broker.logs[a]?.append(ScriptedNode.entry(ids[30], after: ids[20], "thirty"))
        node.loop.run()
        node.loop.advanceTime(by: .seconds(2))
        let output = try node.output(channel)
        let data = output.split(separator: "\n").filter { $0.hasPrefix("data: ") && $0.last != "}" }
        #expect(data == ["data: ten", "data: twenty", "data: thirty", "data: forty"])
        #expect(count("event: gap", in: output) == 0)
    }

    @Test("of a log that can't be read is given up, with a gap")
    func unreadable() throws {
        let channel = try listen("topic=a")
        node.broker.failsToRead = true
        try forge(0)
        for _ in 0..<20 { node.loop.advanceTime(by: .milliseconds(200)) }
        let output = try node.output(channel)
        #expect(count("event: gap", in: output) == 1 && count("data: forged", in: output) == 1)
        #expect(node.broker.reads <= 5)
    }

    @Test("that tells a gap takes the ring from nobody else: a resume on another topic reads no log")
    func ring() throws {
        _ = try listen("topic=a")
        _ = try listen("topic=b")
        try node.receive("\(TargetRepairTests.id(1))", "-", of: b)
        try forge(0)
        node.broker.clock = TargetRepairTests.id(10)
        node.tick()
        let reads = node.broker.reads
        let resumed = try node.open("topic=b&last_event_id=\(EventID(ScriptedNode.now, 0))")
        #expect(try node.output(resumed.channel).contains("data: \(TargetRepairTests.id(1))"))
        #expect(node.broker.reads == reads)
        // Who resumes on the topic itself has to be told, which its log does.
        _ = try node.open("topic=a&last_event_id=\(EventID(ScriptedNode.now, 0))")
        #expect(node.broker.reads > reads)
    }

    @Test("tells the end of a topic whose last event was lost in silence, and is in no log any more")
    func end() throws {
        let (stream, channel) = try node.open("topic=a")
        node.tick()
        _ = try node.output(channel)
        node.broker.markers[a] = LogMarker(id: TargetRepairTests.id(5), ends: true)
        node.broker.clock = TargetRepairTests.id(10)
        node.tick()
        node.loop.advanceTime(by: .seconds(2))
        #expect(count("event: gap", in: try node.output(channel)) == 1)
        #expect(stream.machine.phase() == .ended)
    }

    @Test("ends with the interest in its target")
    func gone() throws {
        let (_, channel) = try node.open("topic=a")
        node.tick()
        node.broker.failsToRead = true
        try forge(0)
        try channel.close().wait()
        node.loop.run()
        node.hub.receive(.gone(a))
        node.broker.failsToRead = false
        node.loop.advanceTime(by: .seconds(5))
        #expect(node.counters.gaps.value == 0)
    }
}
