// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOEmbedded
import SluiceCore
import SluiceGateway
import Testing

@Suite("Streams that close together")
struct LeavingTests {
    private static let streams = 20
    private static let names = 100

    private let node = ScriptedNode()

    @Test("leave a bounded number of targets in each turn of the loop, and in the end all of them")
    func slices() throws {
        let opened = try (0..<Self.streams).map { number in
            try node.open((0..<Self.names).map { "topic=t\(number).\($0)" }.joined(separator: "&"))
        }
        for (_, channel) in opened { channel.close(promise: nil) }
        node.loop.run()
        #expect((1...400).contains(node.broker.released.count), "\(node.broker.released.count) in the first turn")
        #expect(node.counters.streamsOpen.value == 0, "they count as closed at once")
        node.loop.advanceTime(by: .milliseconds(10))
        #expect(Set(node.broker.released).count == Self.streams * Self.names)
    }

    @Test("leave to a new stream of the same topic what it needs")
    func again() throws {
        let (_, old) = try node.open("topic=a")
        old.close(promise: nil)
        let (_, channel) = try node.open("topic=a")
        _ = try node.output(channel)
        try node.receive("live", of: .topic("a"))
        #expect(try node.output(channel).contains("data: live\n\n"))
        #expect(node.broker.released.isEmpty)
    }
}
