// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import TestSupport
import Testing

@Suite("Cursor")
struct CursorTests {
    @Test("a cursor prints as the id that a client sends back, and parses from it")
    func roundTrip() throws {
        let cursor = Cursor(EventID(1_763_720_001_234, 7))
        #expect(cursor.description == "1763720001234-7")
        let parsed = try #require(Cursor("1763720001234-7"))
        #expect(parsed == cursor)
        #expect(parsed.id == EventID(1_763_720_001_234, 7))
    }

    @Test(
        "what a hostile client may send is no cursor",
        arguments: [
            "", "earliest", "$", "../../etc", "1-1\r\nX: y", "-1-1", "1-1;2-2", "1763720001234", "null", "٣-٣",
            "1-1~", "1-1~A", "1-1~QAAAAAAAAAAAAAAA", "1-1~\(String(repeating: "g", count: 100))", "~",
        ])
    func refuses(_ text: String) {
        #expect(Cursor(text) == nil)
    }

    /// A cut as a cluster's node makes it: some partitions are busy, some have been silent for so long.
    private static func cut(_ generator: inout SeededGenerator, silent: Int, for days: UInt64) -> Cut {
        let now: UInt64 = 1_763_720_001_234 + UInt64.random(in: 0...1_000_000_000, using: &generator)
        var cut = Cut(.zero, count: 16)
        let quiet = Set(Partitioning.cluster.partitions.shuffled(using: &generator).prefix(silent))
        for partition in Partitioning.cluster.partitions {
            let age = quiet.contains(partition) ? days * 86_400_000 : UInt64.random(in: 0...2000, using: &generator)
            cut[partition] = EventID(now - age, UInt64.random(in: 0..<1000, using: &generator))
        }
        return cut
    }

    @Test(
        "over sixteen partitions it has at most 128 bytes, all of them busy, or half of them down for a day or three",
        arguments: [(0, 0), (8, 1), (8, 3), (15, 1)] as [(Int, UInt64)])
    func length(silent: Int, days: UInt64) throws {
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<10_000 {
            let cut = Self.cut(&generator, silent: silent, for: days)
            let partition = Partition(Int.random(in: 0..<16, using: &generator))
            let cursor = Cursor(cut, at: partition)
            let text = cursor.description
            #expect(text.utf8.count <= 128 && text.hasPrefix("\(cut[partition])~"))
            guard silent < 9 else { continue }
            #expect(Cursor(text) == cursor, "\(text)")
        }
    }

    @Test(
        "an event from a log says where the others are, however old it is, also if all ids say which run they are of",
        arguments: [1, 9, 300, 86_400, 7 * 86_400] as [UInt64])
    func replayed(seconds: UInt64) throws {
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<10_000 {
            var cut = Self.cut(&generator, silent: 2, for: 1)
            for partition in Partitioning.cluster.partitions {
                cut[partition] = EventID(cut[partition].milliseconds, UInt64.random(in: 128..<1024, using: &generator))
            }
            let partition = Partition(Int.random(in: 0..<16, using: &generator))
            cut[partition] = EventID(cut[partition].milliseconds - seconds * 1000, 999)
            let cursor = Cursor(cut, at: partition)
            #expect(cursor.description.utf8.count <= 128 && Cursor(cursor.description) == cursor)
        }
    }

    @Test("what does not fit, and what is not known, is known to be missing")
    func unknown() throws {
        var cut = Cut(EventID(1_763_720_001_234, 0), count: 16)
        for index in 1..<16 { cut[Partition(index)] = EventID(1, 999_999_999_999_999) }
        cut[Partition(5)] = .zero
        let text = Cursor(cut, at: .first).description
        let parsed = try #require(Cursor(text))
        #expect(text.utf8.count <= 128)
        #expect(parsed.cut[.first] == cut[.first] && parsed.cut[Partition(5)] == .zero)
        for partition in Partitioning.cluster.partitions {
            #expect([.zero, cut[partition]].contains(parsed.cut[partition]))
        }
        #expect(parsed.cut[Partition(15)] == cut[Partition(15)])
    }

    @Test("between one server and a cluster the time is all there is to go by")
    func otherBroker() throws {
        let id = EventID(1_763_720_001_234, 7)
        let over = Cursor(id).over(16)
        // Before all of its millisecond, and of no run.
        let time = EventID(1_763_720_001_233, 255)
        #expect(Partitioning.cluster.partitions.allSatisfy { over.cut[$0] == time } && time.isOnlyTime)
        #expect(Cursor(Cut(.max, count: 16).with(id, in: Partition(3)), at: Partition(3)).over(1) == Cursor(time))
    }

    @Test("no two texts are the same cursor, and what is changed of one is another or none")
    func canonical() throws {
        var generator = SeededGenerator(seed: 11)
        let characters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~!".utf8)
        for _ in 0..<20_000 {
            let cut = Self.cut(&generator, silent: 3, for: 1)
            var bytes = Array(Cursor(cut, at: Partition(2)).description.utf8)
            let place = Int.random(in: bytes.indices, using: &generator)
            bytes[place] = characters.randomElement(using: &generator) ?? 0
            if Bool.random(using: &generator) { bytes.removeLast() }
            let text = String(decoding: bytes, as: UTF8.self)
            if let cursor = Cursor(text) { #expect(cursor.description == text) }
        }
    }

    @Test("a cursor is safe in a header that browsers do not preflight: digits and a hyphen, at most 128 bytes")
    func headerSafe() {
        let text = Cursor(.max).description
        #expect(text.utf8.count <= 128)
        #expect(text.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2D })
    }
}
