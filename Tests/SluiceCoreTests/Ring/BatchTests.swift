// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import Testing

extension BatchBuilder {
    /// Appends an event with its number as data.
    @discardableResult
    mutating func add(
        _ id: EventID?, to target: UInt64, data: String = "x", key: String? = nil, ends: Bool = false
    ) -> Bool {
        var data = data
        return data.withUTF8 {
            append(
                Envelope(id: id, key: key, ends: ends), data: UnsafeRawBufferPointer($0), target: TargetNumber(target))
        }
    }

    mutating func take() throws -> Batch {
        let batch = finish()
        return try #require(batch)
    }
}

@Suite("Batch and BatchBuilder")
struct BatchTests {
    private func indices(of group: Batch.Group, in batch: Batch) -> [Int32] {
        var indices: [Int32] = []
        batch.visit(group) { indices.append($0) }
        return indices
    }

    private static func blocks(_ batch: Batch) -> [String] {
        batch.entries.map { entry in
            batch.buffer.getString(at: entry.frame.block.lowerBound, length: entry.frame.block.count) ?? ""
        }
    }

    @Test("nothing collected gives no batch, whatever the clock says")
    func empty() {
        var builder = BatchBuilder()
        let none = builder.finish()
        #expect(none === nil)
        builder.raise(clock: EventID(5, 0))
        let still = builder.finish()
        #expect(still === nil)
        #expect(builder.pendingBytes == 0)
    }

    @Test("what a target has in a batch is found by its number, whatever the order in which targets came")
    func lookUp() throws {
        var builder = BatchBuilder()
        for target in [7, 2, 9, 2, 4] as [UInt64] { builder.add(EventID(target, 0), to: target) }
        let batch = try builder.take()
        for target in 0...10 as ClosedRange<UInt64> {
            let entries = batch.group(of: TargetNumber(target)).map { indices(of: $0, in: batch) } ?? []
            #expect(entries.map { batch.entries[Int($0)].target.rawValue }.allSatisfy { $0 == target })
            #expect(entries.count == [2: 2, 4: 1, 7: 1, 9: 1][target] ?? 0)
        }
    }

    @Test("positions count the entries of the feed, batch after batch")
    func positions() throws {
        var builder = BatchBuilder()
        builder.add(EventID(1, 0), to: 1)
        builder.add(nil, to: 2)
        builder.add(EventID(2, 0), to: 1)
        let first = try builder.take()
        #expect(first.position == 0)
        #expect(first.end == 3)
        builder.add(EventID(3, 0), to: 1)
        let second = try builder.take()
        #expect(second.position == 3)
        #expect(second.end == 4)
        let none = builder.finish()
        #expect(none === nil)
    }

    @Test("entries stay in the order of the feed, groups name those of one target in that order")
    func groups() throws {
        var builder = BatchBuilder()
        builder.add(EventID(1, 0), to: 7)
        builder.add(EventID(2, 0), to: 9, key: "k")
        builder.add(nil, to: 7)
        builder.add(EventID(4, 0), to: 7, ends: true)
        builder.add(nil, to: 8)
        let batch = try builder.take()
        #expect(batch.entries.map(\.target.rawValue) == [7, 9, 7, 7, 8])
        #expect(batch.entries.map(\.id) == [EventID(1, 0), EventID(2, 0), .zero, EventID(4, 0), .zero])
        #expect(batch.entries.map(\.key) == [nil, "k", nil, nil, nil])
        #expect(batch.entries.map(\.ends) == [false, false, false, true, false])
        #expect(batch.groups.map(\.target.rawValue) == [7, 8, 9])
        #expect(batch.groups.map { indices(of: $0, in: batch) } == [[0, 2, 3], [4], [1]])
        #expect(batch.groups.map(\.lowest) == [EventID(1, 0), .max, EventID(2, 0)])
        #expect(batch.groups.map(\.highest) == [EventID(4, 0), .zero, EventID(2, 0)])
        #expect(batch.groups.map(\.ends) == [true, false, false])
    }

    @Test("a group whose topic was opened again by a later event does not end")
    func reopened() throws {
        var builder = BatchBuilder()
        builder.add(EventID(1, 0), to: 1, ends: true)
        builder.add(EventID(2, 0), to: 1)
        let batch = try builder.take()
        #expect(batch.groups.map(\.ends) == [false])
    }

    @Test("frames lie one behind the other, without a gap")
    func frames() throws {
        var builder = BatchBuilder()
        builder.add(EventID(1, 0), to: 1, data: "a")
        builder.add(nil, to: 2, data: "b\nc")
        #expect(builder.pendingBytes > 0)
        let pending = builder.pendingBytes
        let batch = try builder.take()
        #expect(batch.buffer.readableBytes == pending)
        #expect(batch.entries[0].frame.start == 0)
        #expect(batch.entries[1].frame.start == batch.entries[0].frame.end)
        #expect(batch.entries[1].frame.end == batch.buffer.readableBytes)
        #expect(BatchTests.blocks(batch) == ["id: 1-0\ndata: a\n\n", "data: b\ndata: c\n\n"])
        #expect(batch.size >= batch.buffer.readableBytes)
        #expect(builder.pendingBytes == 0)
    }

    @Test("the clock of a batch is the highest of its ids and the readings before it")
    func clock() throws {
        var builder = BatchBuilder()
        builder.add(EventID(5, 0), to: 1)
        #expect(builder.cut[.first] == EventID(5, 0))
        builder.raise(clock: EventID(9, 3))
        builder.raise(clock: EventID(7, 0))
        #expect(builder.cut[.first] == EventID(9, 3))
        let before = try builder.take()
        #expect(before.clock == EventID(9, 3))
        builder.add(nil, to: 1)
        let after = try builder.take()
        #expect(after.clock == EventID(9, 3))
    }

    @Test(
        "an id that does not go forward is late: its data goes out without an id line, and moves neither clock nor bounds",
        arguments: [EventID(9, 3), EventID(9, 2), EventID(5, 0), EventID(0, 1)])
    func idBehind(_ late: EventID) throws {
        var builder = BatchBuilder()
        builder.add(EventID(9, 3), to: 1, data: "first")
        builder.add(late, to: 1, data: "late")
        builder.add(EventID(9, 4), to: 1, data: "next")
        builder.add(late, to: 2, data: "late")
        let batch = try builder.take()
        #expect(batch.entries.map(\.id) == [EventID(9, 3), late, EventID(9, 4), late])
        #expect(batch.entries.map(\.isLate) == [false, true, false, true])
        #expect(
            BatchTests.blocks(batch) == [
                "id: 9-3\ndata: first\n\n", "data: late\n\n", "id: 9-4\ndata: next\n\n", "data: late\n\n",
            ])
        #expect(batch.groups.map(\.lowest) == [EventID(9, 3), .max])
        #expect(batch.groups.map(\.highest) == [EventID(9, 4), .zero])
        #expect(batch.groups.map(\.hasLate) == [true, true])
        #expect(batch.groups.map(\.hasLiveOnly) == [false, false])
        #expect(batch.clock == EventID(9, 4))
    }

    @Test(
        "an id that is not behind a reading of the clock goes out with it, one that is goes out late, in later batches too"
    )
    func idBehindReading() throws {
        var builder = BatchBuilder()
        builder.raise(clock: EventID(10, 0))
        builder.add(EventID(10, 0), to: 1, data: "late")
        let first = try builder.take()
        #expect(first.entries.map(\.isLate) == [true])
        builder.add(EventID(9, 9), to: 1, data: "late")
        builder.add(EventID(10, 1), to: 1, data: "fine")
        let second = try builder.take()
        #expect(BatchTests.blocks(second) == ["data: late\n\n", "id: 10-1\ndata: fine\n\n"])
    }

    @Test("a group knows whether some of its events are live only, and those do not open or close it")
    func liveOnly() throws {
        var builder = BatchBuilder()
        builder.add(EventID(1, 0), to: 1, ends: true)
        builder.add(nil, to: 1)
        builder.add(EventID(2, 0), to: 2)
        let batch = try builder.take()
        #expect(batch.groups.map(\.hasLiveOnly) == [true, false])
        #expect(batch.groups.map(\.hasLate) == [false, false])
        #expect(batch.groups.map(\.ends) == [true, false])
    }

    @Test("repaired data is reported")
    func repaired() {
        var builder = BatchBuilder()
        let isFineRepaired = builder.add(nil, to: 1, data: "fine")
        #expect(!isFineRepaired)
        let broken: [UInt8] = [0xFF]
        let isBrokenRepaired = broken.withUnsafeBytes { builder.append(Envelope(), data: $0, target: TargetNumber(1)) }
        #expect(isBrokenRepaired)
    }

    @Test("what was read from a log is the same as if it had come live, and has no id if it comes late")
    func fromLog() throws {
        func entry(_ id: EventID, _ data: String) -> LogEntry {
            LogEntry(
                id: id, previous: nil,
                event: Event(ByteBuffer(string: data), type: "price", key: "eur", ends: true))
        }
        let segment = LogSegment(
            LogPage(marker: nil, entries: [entry(EventID(1, 0), "late"), entry(EventID(3, 0), "a\nb")], isLast: true),
            after: .zero)
        var builder = BatchBuilder()
        builder.raise(clock: EventID(2, 0))
        for entry in segment.entries { builder.append(entry, of: segment, target: TargetNumber(1)) }
        let batch = try builder.take()
        #expect(
            BatchTests.blocks(batch) == [
                "event: price\ndata: late\n\n", "id: 3-0\nevent: price\ndata: a\ndata: b\n\n",
            ])
        #expect(batch.entries.map(\.isLate) == [true, false] && batch.clock == EventID(3, 0))
        #expect(batch.entries.map(\.key) == ["eur", "eur"] && batch.groups[0].ends && batch.groups[0].hasLate)
        let chunk = String(buffer: batch.buffer)
        #expect(chunk.hasPrefix("19\r\nevent: price"), "the chunk has the length of what is left")
    }

    @Test("the type goes into the frame")
    func type() throws {
        var builder = BatchBuilder()
        let data: [UInt8] = []
        _ = data.withUnsafeBytes { builder.append(Envelope(type: "price"), data: $0, target: TargetNumber(1)) }
        let batch = try builder.take()
        #expect(BatchTests.blocks(batch) == ["event: price\ndata: \n\n"])
    }
}
