// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import TestSupport
import Testing

@Suite("Envelope")
struct EnvelopeTests {
    private static func decode(_ bytes: [UInt8]) throws -> Envelope {
        try bytes.withUnsafeBytes { try Envelope(decoding: $0) }
    }

    private static func decode(_ text: String) throws -> Envelope {
        try decode(Array(text.utf8))
    }

    private static func encode(_ envelope: Envelope, _ data: [UInt8]) -> [UInt8] {
        var buffer = ByteBuffer()
        envelope.encode(data: data, into: &buffer)
        return Array(buffer.readableBytesView)
    }

    private static func random(_ generator: inout SeededGenerator) -> (envelope: Envelope, data: [UInt8]) {
        let labels = [
            "a", "price", "a: b", "end", "event: x", "日本", "😀", " ", "x y", String(repeating: "k", count: 128),
        ]
        let id = Bool.random(using: &generator) ? EventID(generator.next() >> 20, generator.next() >> 50) : nil
        let earlier = EventID(generator.next() >> 30, generator.next() >> 60)
        let previous = Bool.random(using: &generator) ? id.flatMap { earlier < $0 ? earlier : nil } : nil
        let envelope = Envelope(
            id: id, previous: previous,
            type: Bool.random(using: &generator) ? labels.randomElement(using: &generator) : nil,
            key: Bool.random(using: &generator) ? labels.randomElement(using: &generator) : nil,
            ends: Bool.random(using: &generator),
            trace: Bool.random(using: &generator) ? TraceParent(TraceParents.sampled) : nil)
        let bytes: [UInt8] = [0x0A, 0x0D, 0x1E, 0x00, 0x20, 0x31, 0x61, 0xFF]
        let data = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
            bytes.randomElement(using: &generator) ?? 0
        }
        return (envelope, data)
    }

    @Test("the format is the one of the contract, to the byte")
    func format() {
        let full = Envelope(id: EventID(5, 1), previous: EventID(4, 0), type: "price", key: "eur", ends: true)
        #expect(
            EnvelopeTests.encode(full, Array("a\n".utf8))
                == Array("\u{1E}1 5-1 4-0\nevent: price\nkey: eur\nend\n\na\n".utf8))
        #expect(EnvelopeTests.encode(Envelope(), []) == Array("\u{1E}1 - -\n\n".utf8))
    }

    @Test("an envelope with random fields and data decodes to what was encoded", arguments: 0..<8 as Range<UInt64>)
    func roundTrip(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<250 {
            let (envelope, data) = EnvelopeTests.random(&generator)
            let bytes = EnvelopeTests.encode(envelope, data)
            var decoded = try EnvelopeTests.decode(bytes)
            #expect(Array(bytes[decoded.dataOffset...]) == data)
            decoded.dataOffset = 0
            #expect(decoded == envelope)
        }
    }

    @Test(
        "an envelope cut within its head is refused; cut within its data it keeps its head and a prefix of its data",
        arguments: 0..<4 as Range<UInt64>)
    func truncation(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<25 {
            let (envelope, data) = EnvelopeTests.random(&generator)
            let bytes = EnvelopeTests.encode(envelope, data)
            let head = bytes.count - data.count
            for length in 1..<head {
                #expect(throws: Envelope.Malformed.noData) { try EnvelopeTests.decode(Array(bytes.prefix(length))) }
            }
            for length in head...bytes.count {
                var decoded = try EnvelopeTests.decode(Array(bytes.prefix(length)))
                #expect(decoded.dataOffset == head)
                decoded.dataOffset = 0
                #expect(decoded == envelope)
            }
        }
    }

    @Test(
        "a payload without the mark is plain data, whole",
        arguments: ["", "a", "1 5-1 -\n\nx", "\n", " \u{1E}1 - -\n\n", "\u{1F}1 - -\n\n"])
    func plain(_ text: String) throws {
        #expect(try EnvelopeTests.decode(text) == Envelope())
    }

    @Test(
        "a predecessor that can't be one is none: there is nothing to look for",
        arguments: ["- 5-1", "5-1 5-1", "5-1 5-2", "5-1 999999999999999-0"])
    func impossiblePredecessor(_ ids: String) throws {
        let envelope = try EnvelopeTests.decode("\u{1E}1 \(ids)\nevent: a\n\nx")
        #expect(envelope.previous == nil && envelope.type == "a")
    }

    @Test(
        "a payload with the mark that does not parse is refused, and the reason says why",
        arguments: [
            ("\u{1E}", .noData), ("\u{1E}1 - -", .noData), ("\u{1E}1 - -\n", .noData), ("\u{1E}1 - -\nend", .noData),
            ("\u{1E}1 - -\nend\n", .noData), ("\u{1E}1 - -\r\n\r\n", .id), ("\u{1E}\n\n", .version),
            ("\u{1E}2 - -\n\n", .version), ("\u{1E}11 - -\n\n", .version), ("\u{1E} 1 - -\n\n", .version),
            ("\u{1E}01 - -\n\n", .version), ("\u{1E}\u{1E}1 - -\n\n", .version), ("\u{1E}1\n\n", .id),
            ("\u{1E}1 -\n\n", .id), ("\u{1E}1 - - -\n\n", .id), ("\u{1E}1  - -\n\n", .id), ("\u{1E}1 - - \n\n", .id),
            ("\u{1E}1 5 -\n\n", .id), ("\u{1E}1 05-1 -\n\n", .id), ("\u{1E}1 5-1 x\n\n", .id),
            ("\u{1E}1 -- -\n\n", .id), ("\u{1E}1 5-1 1000000000000000-0\n\n", .id),
            ("\u{1E}1 5-18446744073709551615 -\n\n", .id), ("\u{1E}1 5-1000000000000000 -\n\n", .id),
            ("\u{1E}1 - -\nevent: \n\n", .header), ("\u{1E}1 - -\nkey: \n\n", .header),
            ("\u{1E}1 - -\nevent: checkpoint\n\n", .header), ("\u{1E}1 - -\nevent: gap\n\n", .header),
            ("\u{1E}1 - -\nevent: pause\n\n", .header), ("\u{1E}1 - -\nevent: error\n\n", .header),
            ("\u{1E}1 - -\nevent: open\n\n", .header), ("\u{1E}1 - -\nevent: a\rdata: forged\n\n", .header),
            ("\u{1E}1 - -\nevent: a\r\n\n", .header), ("\u{1E}1 - -\nkey: a\rb\n\n", .header),
            ("\u{1E}1 - -\nevent: a\u{0}b\n\n", .header), ("\u{1E}1 - -\nevent: a\u{85}b\n\n", .header),
            ("\u{1E}1 - -\nevent: \(String(repeating: "x", count: 129))\n\n", .header),
        ] as [(String, Envelope.Malformed)])
    func malformed(_ text: String, _ problem: Envelope.Malformed) {
        #expect(throws: problem) { try EnvelopeTests.decode(text) }
    }

    @Test("a type or key that is not UTF-8 is refused", arguments: ["event: ", "key: "])
    func invalidUTF8(_ name: String) {
        let bytes = Array("\u{1E}1 - -\n\(name)a".utf8) + [0xC3] + Array("\n\n".utf8)
        #expect(throws: Envelope.Malformed.header) { try EnvelopeTests.decode(bytes) }
    }

    @Test("header lines that are not known are ignored, so that a later version can add some")
    func unknownHeaders() throws {
        let text =
            "\u{1E}1 7-0 6-0\nx: y\nevent:no space\nEvent: Case\nending\nend: 1\n\u{0}\nevent: real\nkeys: a\n\ndata"
        let envelope = try EnvelopeTests.decode(text)
        #expect(envelope.id == EventID(7, 0))
        #expect(envelope.previous == EventID(6, 0))
        #expect(envelope.type == "real")
        #expect(envelope.key == nil)
        #expect(!envelope.ends)
        #expect(envelope.dataOffset == text.utf8.count - 4)
    }

    @Test("a reserved type is a key like any other")
    func reservedKey() throws {
        #expect(try EnvelopeTests.decode("\u{1E}1 - -\nkey: gap\n\n").key == "gap")
    }

    @Test("random garbage behind the mark is refused or decoded within its bounds", arguments: 0..<8 as Range<UInt64>)
    func garbage(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let pieces = ["1 ", "- ", "-\n", "5-1 ", "event: ", "key: ", "end\n", "\n", "\n\n", "\r", "x", "\u{1E}", "\0"]
        var accepted = 0
        for _ in 0..<2000 {
            var bytes: [UInt8] = [0x1E]
            if Bool.random(using: &generator) { bytes += Array("1 - -\n".utf8) }
            for _ in 0..<Int.random(in: 0...12, using: &generator) {
                if Int.random(in: 0..<4, using: &generator) == 0 {
                    bytes.append(UInt8.random(in: 0...255, using: &generator))
                } else {
                    bytes += Array((pieces.randomElement(using: &generator) ?? "").utf8)
                }
            }
            guard let envelope = try? EnvelopeTests.decode(bytes) else { continue }
            accepted += 1
            #expect(envelope.dataOffset >= 7 && envelope.dataOffset <= bytes.count)
            #expect(bytes[envelope.dataOffset - 1] == 0x0A && bytes[envelope.dataOffset - 2] == 0x0A)
            #expect(envelope.type.map { EventLabel.problem(type: $0) == nil } ?? true)
        }
        #expect(accepted > 100, "the garbage must reach the inside of the decoder")
    }
}
