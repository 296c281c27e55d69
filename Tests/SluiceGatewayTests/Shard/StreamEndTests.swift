// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOCore
import NIOEmbedded
import SluiceCore
import SluiceGateway
import Testing

@Suite("The end of a stream")
struct StreamEndTests {
    private let node = ScriptedNode()

    /// How many streams have ended, by their reason.
    private var ends: [StreamEnd: Int] {
        var ends: [StreamEnd: Int] = [:]
        for end in StreamEnd.allCases {
            let count = node.counters.streamsEnded[end].value
            if count > 0 { ends[end] = count }
        }
        return ends
    }

    @Test("has one reason, and all ends have one")
    func reasons() throws {
        let later = node.loop.now + .seconds(5)
        let closed = try node.open("topic=a").channel
        let broken = try node.open("topic=a").channel
        let reset = try node.open("topic=a").channel
        _ = try node.open("topic=a", expiry: .init(time: later, end: .lifetime))
        _ = try node.open("topic=a", expiry: .init(time: later, end: .token))
        _ = try node.open("client=c")
        _ = try node.open("topic=job")
        _ = try node.open("client=p")
        for _ in 0..<3 { _ = try node.open("topic=a") }
        #expect(ends.isEmpty && node.counters.streamsOpen[.http10].value == 11)

        closed.close(promise: nil)
        broken.pipeline.fireErrorCaught(IOError(errnoCode: ETIMEDOUT, reason: "a test"))
        reset.pipeline.fireErrorCaught(IOError(errnoCode: ECONNRESET, reason: "a test"))
        node.loop.run()
        #expect(ends == [.client: 2, .error: 1])

        node.shard.receive(.disconnect(Disconnect(client: "c", exile: nil)))
        try node.receive("\u{1E}1 \(ScriptedNode.id(10)) -\nend\n\nx", of: .topic("job"))
        node.loop.run()
        #expect(ends == [.client: 2, .error: 1, .disconnect: 1, .finished: 1])

        node.loop.advanceTime(by: .seconds(6))
        #expect(ends == [.client: 2, .error: 1, .disconnect: 1, .finished: 1, .lifetime: 1, .token: 1])

        node.shard.receive(.pause(Pause(client: "p", seconds: 60), until: 60_000))
        node.loop.run()
        // A third of the three that are left.
        node.shard.receive(.rebalance(share: 1.0 / 3))
        node.loop.run()
        #expect(ends[.pause] == 1 && ends[.rebalance] == 1)

        node.shard.beginDrain(over: .zero)
        node.loop.advanceTime(by: .seconds(1))
        #expect(ends[.drain] == 2)
        #expect(node.counters.streamsEnded.value == 11 && node.counters.streamsOpened.value == 11)
        #expect(node.counters.streamsOpen.value == 0)
    }

    @Test("by its token comes where that is over before the lifetime is")
    func token() {
        let now = node.loop.now
        #expect(node.shard.expiry(now: now, token: nil)?.end == .lifetime)
        #expect(node.shard.expiry(now: now, token: .hours(10))?.end == .lifetime)
        #expect(node.shard.expiry(now: now, token: .minutes(10))?.end == .token)
    }
}
