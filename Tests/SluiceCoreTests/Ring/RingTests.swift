// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import TestSupport
import Testing

@Suite("Ring")
struct RingTests {
    /// Batches of so many events each, with ids 1-0, 2-0, … in order of the feed.
    private static func batches(_ counts: [Int], bytes: Int = 10) throws -> [Batch] {
        var builder = BatchBuilder()
        var next: UInt64 = 1
        return try counts.map { count in
            for _ in 0..<count {
                builder.add(EventID(next, 0), to: 1, data: String(repeating: "x", count: bytes))
                next += 1
            }
            return try builder.take()
        }
    }

    @Test("an empty ring holds no position, and has every event since the node began to listen")
    func empty() {
        let ring = Ring(sizeMax: 1000)
        #expect(ring.start == 0 && ring.end == 0)
        #expect(ring.batch(at: 0) == nil)
        #expect(ring.position(after: .zero) == 0)
        #expect(ring.dropped() == .zero)
    }

    @Test("each position in the ring finds the batch that holds it, no other does")
    func positions() throws {
        let batches = try RingTests.batches([3, 1, 4])
        var ring = Ring(sizeMax: 1 << 20)
        for batch in batches { ring.append(batch) { _ in } }
        #expect(ring.start == 0)
        #expect(ring.end == 8)
        for position in 0..<8 as Range<UInt64> {
            let batch = try #require(ring.batch(at: position))
            #expect((batch.position..<batch.end).contains(position))
        }
        #expect(ring.batch(at: 8) == nil)
        #expect(ring.batch(at: .max) == nil)
    }

    @Test("the position after an id leads to every later event")
    func positionAfter() throws {
        let batches = try RingTests.batches([3, 1, 4])
        var ring = Ring(sizeMax: 1 << 20)
        for batch in batches { ring.append(batch) { _ in } }
        let expected: [UInt64] = [0, 0, 0, 3, 4, 4, 4, 4, 8, 8]
        for (milliseconds, position) in expected.enumerated() {
            #expect(ring.position(after: EventID(UInt64(milliseconds), 0)) == position, "after \(milliseconds)-0")
        }
        #expect(ring.position(after: .max) == 8)
    }

    @Test("the oldest batches go once the bound is passed, and an id before what is left is not found")
    func eviction() throws {
        let batches = try RingTests.batches([2, 2, 2, 2])
        let size = batches[0].size
        var ring = Ring(sizeMax: size * 2)
        for batch in batches { ring.append(batch) { _ in } }
        #expect(ring.start == 4)
        #expect(ring.end == 8)
        #expect(ring.dropped() == EventID(4, 0))
        #expect(ring.batch(at: 3) == nil)
        #expect(ring.batch(at: 4)?.position == 4)
        #expect(ring.position(after: EventID(3, 9)) == nil)
        #expect(ring.position(after: .zero) == nil)
        #expect(ring.position(after: EventID(4, 0)) == 4)
        #expect(ring.position(after: EventID(6, 0)) == 6)
    }

    @Test("a batch at the bound exactly stays; the newest stays whatever its size")
    func bounds() throws {
        let batches = try RingTests.batches([1, 1], bytes: 100)
        var exact = Ring(sizeMax: batches[0].size + batches[1].size)
        for batch in batches { exact.append(batch) { _ in } }
        #expect(exact.start == 0)
        var short = Ring(sizeMax: batches[0].size + batches[1].size - 1)
        for batch in batches { short.append(batch) { _ in } }
        #expect(short.start == 1)
        var tiny = Ring(sizeMax: 1)
        for batch in batches {
            tiny.append(batch) { _ in }
            #expect(tiny.start == batch.position)
            #expect(tiny.end == batch.end)
            #expect(tiny.batch(at: batch.position)?.position == batch.position)
        }
    }

    @Test("each batch that has to go is told, oldest first")
    func tellsDropped() throws {
        let batches = try RingTests.batches([2, 2, 2, 2])
        var ring = Ring(sizeMax: batches[0].size * 2)
        var dropped: [UInt64] = []
        for batch in batches { ring.append(batch) { dropped.append($0.position) } }
        #expect(dropped == [0, 2])
        let large = try RingTests.batches([8, 1], bytes: 100)
        ring.append(large[1]) { dropped.append($0.position) }
        #expect(dropped.starts(with: [0, 2, 4]))
    }

    @Test("a ring that begins late starts where its first batch does")
    func beginsLate() throws {
        let batches = try RingTests.batches([5, 1])
        var ring = Ring(sizeMax: 1 << 20)
        ring.append(batches[1]) { _ in }
        #expect(ring.start == 5 && ring.end == 6)
        #expect(ring.batch(at: 4) == nil)
        #expect(ring.batch(at: 5)?.position == 5)
    }

    @Test(
        "a random feed: positions stay contiguous and every later event is reachable",
        arguments: 0..<6 as Range<UInt64>)
    func property(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let counts = (0..<60).map { _ in Int.random(in: 1...6, using: &generator) }
        let batches = try RingTests.batches(counts)
        var ring = Ring(sizeMax: 4000)
        for batch in batches {
            ring.append(batch) { _ in }
            let held = batches.filter { $0.position >= ring.start && $0.end <= ring.end }
            #expect(held.map(\.size).reduce(0, +) <= 4000 || held.count == 1)
            // Ids are positions plus one here.
            let id = EventID(UInt64.random(in: 0...ring.end + 1, using: &generator), 0)
            if let position = ring.position(after: id) {
                #expect(position >= ring.start && position <= max(id.milliseconds, ring.start))
            } else {
                #expect(id.milliseconds < ring.start)
            }
        }
        #expect(ring.start > 0, "the bound must have been reached")
    }
}
