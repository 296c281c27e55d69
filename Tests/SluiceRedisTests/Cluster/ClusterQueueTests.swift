// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOEmbedded
import SluiceCore
import TestSupport
import Testing

@testable import SluiceRedis

@Suite("ClusterQueue")
struct ClusterQueueTests {
    private let loop = EmbeddedEventLoop()
    private static let start = NIODeadline.uptimeNanoseconds(0)

    private func command(_ text: String, of partition: Int) -> ClusterQueue.Command {
        let promise = loop.makePromise(of: RESPValue.self)
        promise.succeed(.null)
        return ClusterQueue.Command(
            ["PING", text], of: Partition(partition), attempts: ClusterAttempts(until: .distantFuture),
            promise: promise)
    }

    @Test(
        "what waits is taken in the order in which it came, at a time that is named once, and each partition on its own"
    )
    func order() throws {
        var queue = ClusterQueue()
        var generator = SeededGenerator(seed: 1)
        let first = queue.add(command("a", of: 3), now: ClusterQueueTests.start, using: &generator)
        #expect(try #require(first) > ClusterQueueTests.start)
        let later = queue.add(command("b", of: 3), now: ClusterQueueTests.start, using: &generator)
        let other = queue.add(command("c", of: 4), now: ClusterQueueTests.start, using: &generator)
        #expect(later == nil && other != nil && queue.bytes == 15)
        #expect(queue.isWaiting(Partition(3)) && !queue.isWaiting(Partition(5)))
        let taken = queue.take(Partition(3)).map { String(buffer: $0.command.words[1]) }
        #expect(taken == ["a", "b"] && queue.bytes == 5 && !queue.isWaiting(Partition(3)))
    }

    @Test(
        "a partition is waited for only so long in all, until something of it is carried out, or nobody asked for a while"
    )
    func limit() {
        var queue = ClusterQueue()
        var generator = SeededGenerator(seed: 1)
        let (start, partition) = (ClusterQueueTests.start, Partition(3))
        let limit = queue.limit(partition, now: start)
        for seconds in 0..<3 {
            _ = queue.add(command("a", of: 3), now: start + .seconds(Int64(seconds)), using: &generator)
            #expect(queue.limit(partition, now: start + .seconds(Int64(seconds))) == limit)
        }
        #expect(limit - start == .seconds(2) && queue.limit(Partition(4), now: start + .seconds(3)) > limit)
        let calm = start + .seconds(30)
        #expect(queue.limit(partition, now: calm) - calm == .seconds(2))
        queue.succeeded(partition)
        let now = start + .seconds(4)
        #expect(queue.limit(partition, now: now) - now == .seconds(2))
    }
}
