// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import SluiceGateway
import Testing

extension ByteBuffer {
    /// Whether its bytes are some of another's, and no copy.
    func lies(in other: ByteBuffer) -> Bool {
        other.withVeryUnsafeBytes { all in
            withUnsafeReadableBytes { part in
                guard let start = part.baseAddress, let whole = all.baseAddress else { return false }
                return start >= whole && start < whole + all.count
            }
        }
    }
}

@Suite("ReplayWriter")
struct ReplayWriterTests {
    private static func segment(_ sizes: [Int]) -> LogSegment {
        let entries = sizes.enumerated().map { number, size in
            LogEntry(
                id: EventID(UInt64(number + 1), 0), previous: nil,
                event: Event(ByteBuffer(repeating: UInt8(ascii: "a") + UInt8(number), count: size)))
        }
        return LogSegment(LogPage(marker: nil, entries: entries, isLast: true), after: .zero)
    }

    @Test(
        "Wherever the socket stops: what it took, the rest and what follows are the bytes of the whole",
        arguments: [StreamWire.chunked, .plain], [nil, Cut(EventID(9, 9), count: 16)])
    func cut(wire: StreamWire, place: Cut?) throws {
        let segment = Self.segment([3, 5000, 1, 700])
        var writer = ReplayWriter(wire: wire)
        var ends: [Int] = []
        for entry in segment.entries {
            try #require(writer.hasRoom(for: entry.frame))
            let cursor = place.map { Cursor($0.with(entry.id, in: Partition(3)), at: Partition(3)) }
            writer.append(entry, of: segment, cursor: cursor)
            ends.append(writer.bytes.readableBytes)
        }
        writer.append(lines: "event: gap\n\n", id: nil)
        ends.append(writer.bytes.readableBytes)
        let whole = Array(writer.bytes.readableBytesView)
        if let place {
            let cursor = Cursor(place.with(EventID(4, 0), in: Partition(3)), at: Partition(3))
            #expect(String(decoding: whole, as: UTF8.self).contains("id: \(cursor)\ndata: dd"))
        }
        for sent in 0..<whole.count {
            let cut = writer.cut(after: sent)
            let index = try #require(ends.firstIndex { $0 > sent })
            #expect(cut.count == index + 1)
            #expect(cut.highest == EventID(UInt64(min(index, 3) + 1), 0))
            let rest =
                Array(cut.rest.bytes.readableBytesView) + (cut.rest.shared.map { Array($0.readableBytesView) } ?? [])
            #expect(rest == Array(whole[sent..<ends[index]]))
        }
    }

    @Test("A large frame goes out alone, and it and its rest are the bytes that all streams share")
    func large() throws {
        let segment = Self.segment([10, 100_000, 10])
        var writer = ReplayWriter(wire: .chunked)
        writer.append(segment.entries[0], of: segment)
        #expect(!writer.hasRoom(for: segment.entries[1].frame))
        writer.clear()
        #expect(writer.hasRoom(for: segment.entries[1].frame))
        writer.append(segment.entries[1], of: segment)
        #expect(!writer.hasRoom(for: segment.entries[2].frame))
        #expect(writer.bytes.lies(in: segment.buffer) && writer.cut(after: 50_000).rest.bytes.lies(in: segment.buffer))
        #expect(
            !writer.cut(after: 100_000).rest.bytes.lies(in: segment.buffer),
            "a small rest is not worth what it would keep")
    }
}
