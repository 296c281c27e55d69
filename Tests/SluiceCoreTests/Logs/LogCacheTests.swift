// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import Testing

@Suite("LogCache")
struct LogCacheTests {
    private static let now = NIODeadline.uptimeNanoseconds(1_000_000_000)
    private static let mark = EventID(1000, 0)

    private static func segment(
        after: UInt64, _ ids: ClosedRange<UInt64>, bytes: Int = 10, isLast: Bool = false
    ) -> LogSegment {
        let entries = ids.map {
            LogEntry(
                id: EventID($0, 0), previous: nil, event: Event(ByteBuffer(repeating: 0x61, count: bytes)))
        }
        return LogSegment(LogPage(marker: nil, entries: entries, isLast: isLast), after: EventID(after, 0))
    }

    @Test("It finds the piece that an id lies in, and where in it")
    func finds() throws {
        var cache = LogCache(bytesMax: 1 << 20)
        let topic = try Target.topic("t")
        cache.insert(Self.segment(after: 0, 1...5), of: topic, coveredUpTo: Self.mark, now: Self.now)
        cache.insert(Self.segment(after: 5, 6...9, isLast: true), of: topic, coveredUpTo: Self.mark, now: Self.now)
        func slice(_ id: UInt64, through mark: EventID = LogCacheTests.mark) -> LogSlice? {
            cache.slice(of: topic, after: EventID(id, 0), through: mark, now: Self.now)
        }
        #expect(slice(0)?.start == 0 && slice(0)?.isLast == false)
        #expect(slice(3)?.start == 3)
        #expect(slice(5)?.segment.after == EventID(5, 0) && slice(5)?.isLast == true)
        #expect(slice(9)?.start == 4 && slice(9)?.isLast == true, "there is nothing behind 9, which is known")
        #expect(slice(9, through: EventID(1001, 0)) == nil, "that may have changed since")
        #expect(slice(7, through: EventID(1001, 0))?.isLast == false)
        #expect(cache.slice(of: try .topic("u"), after: .zero, through: Self.mark, now: Self.now) == nil)
        #expect(cache.slice(of: topic, after: .zero, through: Self.mark, now: Self.now + .minutes(2)) == nil)
    }

    @Test("It never has more bytes than it may, and forgets first what was used longest ago")
    func bounded() throws {
        var cache = LogCache(bytesMax: 64 << 10)
        let topics = try (0..<100).map { try Target.topic("t\($0)") }
        for (index, topic) in topics.enumerated() {
            cache.insert(Self.segment(after: 0, 1...1, bytes: 3000), of: topic, coveredUpTo: .zero, now: Self.now)
            #expect(cache.bytes <= 64 << 10)
            // The first is used all the time.
            if index > 0 {
                #expect(cache.slice(of: topics[0], after: .zero, through: Self.mark, now: Self.now) != nil)
            }
        }
        #expect(cache.slice(of: topics[1], after: .zero, through: Self.mark, now: Self.now) == nil)
        #expect(cache.slice(of: topics[99], after: .zero, through: Self.mark, now: Self.now) != nil)
        cache.insert(Self.segment(after: 0, 1...1, bytes: 1 << 20), of: topics[5], coveredUpTo: .zero, now: Self.now)
        #expect(
            cache.slice(of: topics[5], after: .zero, through: Self.mark, now: Self.now) != nil,
            "somebody waits for it, however large it is")
    }
}
