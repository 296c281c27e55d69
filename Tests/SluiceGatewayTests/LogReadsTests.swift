// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOEmbedded
import SluiceCore
import SluiceGateway
import Testing

@Suite("LogReads")
struct LogReadsTests {
    private let loop = EmbeddedEventLoop()
    private let broker: MemoryBroker
    private let counters = Counters()
    private let reads: LogReads
    private let topic: Target

    init() throws {
        broker = MemoryBroker(eventLoop: loop, wallClock: { 1_000_000 })
        reads = LogReads(broker: broker, eventLoop: loop, counters: counters)
        topic = try .topic("t")
    }

    private func publish(_ count: Int, bytes: Int) throws -> [EventID] {
        try (0..<count).map { _ in
            let data = ByteBuffer(repeating: 0x61, count: bytes)
            let receipt = try broker.publish(Publication(target: topic, data: data, maxlen: count, ttl: 60)).wait()
            return try #require(receipt.id)
        }
    }

    @Test("Those who ask together for the same log are served by one read")
    func shared() throws {
        let ids = try publish(20, bytes: 1)
        let pages = ids.map { reads.read(topic, after: $0) }
        loop.run()
        for (index, page) in pages.enumerated() { #expect(try page.wait().entries.count == 19 - index) }
        #expect(counters.logReads.value == 1)
    }

    @Test("Who is far ahead is not kept waiting by one far behind who asks again and again")
    func fair() throws {
        let ids = try publish(200, bytes: 1)
        var asked = 0
        func askAgain() {
            asked += 1
            guard asked < 100 else { return }
            reads.read(topic, after: .zero).assumeIsolated().whenSuccess { _ in askAgain() }
        }
        askAgain()
        var readsUntilServed = 0
        reads.read(topic, after: ids[150]).assumeIsolated().whenSuccess { [counters] _ in
            readsUntilServed = counters.logReads.value
        }
        loop.run()
        #expect(asked == 100)
        #expect(readsUntilServed == 2)
    }

    @Test("Of a log with large events a page has few, and many again once they are small")
    func sizes() throws {
        let large = try publish(40, bytes: 128 << 10)
        func read(after id: EventID) throws -> Int {
            let page = reads.read(topic, after: id)
            loop.run()
            return try page.wait().entries.count
        }
        #expect(try read(after: .zero) == 32)
        #expect(try read(after: .zero) == 2)
        #expect(try read(after: large[9]) == 2)
        _ = try publish(40, bytes: 1)
        let last = try #require(large.last)
        #expect(try read(after: last) == 2)
        #expect(try read(after: last) == 32)
    }
}
