// SPDX-License-Identifier: Apache-2.0
import SluiceGateway
import Testing

@Suite("The log's queue")
struct LogQueueTests {
    @Test("keeps whole lines in their order, and says how many found no room")
    func bound() throws {
        var queue = LogQueue(bytesMax: 10)
        #expect(queue.isEmpty)
        #expect(
            ["one\n", "two\n", "three\n", "4\n", "5\n"].map { queue.append($0) } == [true, true, false, true, false])
        let taken = queue.take()
        let first = try #require(taken)
        #expect(String(decoding: first.bytes, as: UTF8.self) == "one\ntwo\n4\n")
        #expect(first.dropped == 2)
        #expect(queue.isEmpty)
        #expect(queue.append("six\n") == true)
        let second = queue.take()
        #expect(second?.dropped == 0)
    }
}
