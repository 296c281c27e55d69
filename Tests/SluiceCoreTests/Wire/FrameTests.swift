// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOCore
import SluiceCore
import TestSupport
import Testing

@Suite("Frame")
struct FrameTests {
    struct Made {
        let frame: Frame
        let repaired: Bool
        let buffer: ByteBuffer

        var chunk: [UInt8] { Array(buffer.viewBytes(at: frame.start, length: frame.chunk.count) ?? ByteBufferView()) }
        var block: [UInt8] {
            Array(buffer.viewBytes(at: frame.block.lowerBound, length: frame.block.count) ?? ByteBufferView())
        }
    }

    private static func make(_ data: [UInt8], id: EventID? = nil, type: String? = nil, before: String = "") -> Made {
        var buffer = ByteBuffer(string: before)
        let (frame, repaired) = data.withUnsafeBytes {
            Frame.append(id: id.map { Cursor($0) }, type: type, data: $0, to: &buffer)
        }
        return Made(frame: frame, repaired: repaired, buffer: buffer)
    }

    private static func text(_ made: Made) -> String {
        String(decoding: made.block, as: UTF8.self)
    }

    /// RFC 9112 §7.1: the size in hexadecimal, CRLF, so many bytes, CRLF.
    private static func checkChunk(_ made: Made) throws {
        let chunk = made.chunk
        let header = try #require(chunk.firstIndex(of: 0x0D))
        let size = try #require(Int(String(decoding: chunk[..<header], as: UTF8.self), radix: 16))
        #expect(chunk[header + 1] == 0x0A)
        #expect(chunk.count == header + 2 + size + 2)
        #expect(Array(chunk.suffix(2)) == [0x0D, 0x0A])
        #expect(Array(chunk[(header + 2)..<(chunk.count - 2)]) == made.block)
        #expect(made.frame.end == made.buffer.writerIndex)
    }

    @Test(
        "each line of the data becomes a data line, the last kept even if empty, a leading space kept",
        arguments: [
            ("", "data: \n\n"), ("a", "data: a\n\n"), (" a", "data:  a\n\n"), ("a\nb", "data: a\ndata: b\n\n"),
            ("a\n", "data: a\ndata: \n\n"), ("\n", "data: \ndata: \n\n"), ("a\r\nb", "data: a\ndata: b\n\n"),
            ("a\rb", "data: a\ndata: b\n\n"), ("\r\r\n\n", "data: \ndata: \ndata: \ndata: \n\n"),
            ("\n\r", "data: \ndata: \ndata: \n\n"), ("data: x", "data: data: x\n\n"),
            ("id: 9\n\nevent: y", "data: id: 9\ndata: \ndata: event: y\n\n"), (":", "data: :\n\n"),
        ])
    func lines(_ data: String, _ block: String) throws {
        let made = FrameTests.make(Array(data.utf8))
        #expect(FrameTests.text(made) == block)
        #expect(!made.repaired)
        try FrameTests.checkChunk(made)
    }

    @Test("id and type are lines of their own before the data, and only where given")
    func fields() throws {
        let id = EventID(1_763_720_001_234, 0)
        #expect(
            FrameTests.text(FrameTests.make([0x78], id: id, type: "price"))
                == "id: 1763720001234-0\nevent: price\ndata: x\n\n")
        #expect(FrameTests.text(FrameTests.make([0x78], id: id)) == "id: 1763720001234-0\ndata: x\n\n")
        #expect(FrameTests.text(FrameTests.make([0x78], type: "日本")) == "event: 日本\ndata: x\n\n")
    }

    @Test("the chunk's size is exact around every length of its header", arguments: [1, 2, 3, 4, 5])
    func sizes(_ digits: Int) throws {
        let border = 1 << (4 * digits)
        for block in (border - 3)...(border + 3) where block > 8 {
            let made = FrameTests.make(Array(repeating: 0x61, count: block - 8), before: "before")
            #expect(made.block.count == block)
            #expect(made.frame.start == 6)
            #expect(made.chunk.starts(with: Array("\(String(block, radix: 16))\r\n".utf8)))
            try FrameTests.checkChunk(made)
        }
    }

    @Test("data of nothing but line ends is as many lines and one")
    func manyLines() throws {
        let made = FrameTests.make(Array(repeating: 0x0D, count: 1 << 16))
        #expect(made.block.count == ((1 << 16) + 1) * 7 + 1)
        try FrameTests.checkChunk(made)
    }

    /// Processor time of this thread, in seconds.
    static func processorTime() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// The least of some runs, which is the one that nothing disturbed.
    private static func cost(_ data: [UInt8]) -> Double {
        (0..<5).map { _ in
            var buffer = ByteBuffer()
            let start = processorTime()
            _ = data.withUnsafeBytes { Frame.append(id: nil, type: nil, data: $0, to: &buffer) }
            return processorTime() - start
        }.min() ?? 0
    }

    @Test("a line end costs the same however many there are, of whatever kind, and however much text is behind them")
    func costOfLines() {
        for end: [UInt8] in [[0x0A], [0x0D], [0x0D, 0x0A], [0x0A, 0x0D]] {
            let some = FrameTests.cost(Array(repeatElement(end, count: 1 << 14).joined()))
            let more = FrameTests.cost(Array(repeatElement(end, count: 1 << 16).joined()))
            let text = [UInt8](repeating: 0x61, count: 1 << 16)
            let behind = FrameTests.cost(Array(repeatElement(end, count: 1 << 14).joined()) + text)
            #expect(more < 10 * some && behind < 3 * some, "\(more / some), \(behind / some)")
        }
    }

    @Test("ready-made lines become a chunk as they are")
    func controlLines() throws {
        var buffer = ByteBuffer()
        let frame = Frame.append(lines: "retry: 5\n:\n", to: &buffer)
        #expect(String(buffer: buffer) == "b\r\nretry: 5\n:\n\r\n")
        #expect(frame.chunk == 0..<16)
        #expect(frame.block == 3..<14)
    }

    @Test(
        "bytes that are not UTF-8 are replaced and reported, valid ones are left alone",
        arguments: [
            ([0xFF], true), ([0xC3], true), ([0xED, 0xA0, 0x80], true), ([0xC0, 0x80], true),
            ([0xF4, 0x90, 0x80, 0x80], true),
            ([0xF0, 0x9F, 0x0A, 0x98, 0x80], true), ([0x61, 0x80, 0x0D], true), ([0xF0, 0x9F, 0x98, 0x80], false),
            ([0xEF, 0xBF, 0xBD], false), ([0xEF, 0xBB, 0xBF, 0x61], false), ([0x00], false), ([], false),
        ] as [([UInt8], Bool)])
    func repair(_ data: [UInt8], _ isRepaired: Bool) throws {
        let made = FrameTests.make(data)
        #expect(made.repaired == isRepaired)
        let events = WHATWGStream(made.block).events
        #expect(events.map(\.data) == [WHATWGStream.linesNormalised(WHATWGStream.decodeUTF8(data))])
        #expect(String(validating: made.chunk, as: UTF8.self) != nil)
        try FrameTests.checkChunk(made)
    }

    /// What parsers and encoders trip over.
    private static let pieces: [[UInt8]] =
        [
            "\r", "\n", "\r\n", "\0", " ", "  ", ":", "data:", "data: ", "id:", "id: 9-9", "event: x", "retry: 1", "a",
            "\n\n",
            "\r\r", "😀", "é", "\u{FEFF}", "\u{2028}", "\u{85}", "\u{FFFD}", "0\r\n\r\n", "\u{1E}1 - -\n\n", "\u{7F}",
            "\t",
        ].map { Array($0.utf8) } + [
            [0xFF], [0xC3], [0xF0, 0x9F], [0x98, 0x80], [0xED, 0xA0], [0xF0, 0x9F, 0x98], [0x80], [0xC0],
        ]

    private static func randomData(_ generator: inout SeededGenerator) -> [UInt8] {
        var data: [UInt8] = []
        for _ in 0..<Int.random(in: 0...14, using: &generator) { data += pieces.randomElement(using: &generator) ?? [] }
        return data
    }

    @Test(
        "a stream of random events reads back, by a parser of the standard's text, as what was published",
        arguments: 0..<12 as Range<UInt64>)
    func property(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var stream: [UInt8] = []
        var expected: [WHATWGStream.Event] = []
        var lastID = ""
        for number in 1...200 as ClosedRange<UInt64> {
            let data = FrameTests.randomData(&generator)
            let id = Bool.random(using: &generator) ? EventID(number, 0) : nil
            let type = [nil, nil, "price", "日 本", " lead", "x:y"].randomElement(using: &generator) ?? nil
            let made = FrameTests.make(data, id: id, type: type)
            try FrameTests.checkChunk(made)
            let scalars = WHATWGStream.decodeUTF8(data)
            #expect(made.repaired == (String(validating: data, as: UTF8.self) == nil))
            if let id { lastID = id.description }
            expected.append(
                WHATWGStream.Event(
                    type: type ?? "message", data: WHATWGStream.linesNormalised(scalars),
                    lastEventID: lastID))
            stream += made.block
        }
        let parsed = WHATWGStream(stream)
        #expect(parsed.events == expected)
        #expect(parsed.retry == nil)
        #expect(parsed.comments == 0)
    }
}
