// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceRedis
import TestSupport
import Testing

@Suite("RESPReader")
struct RESPReaderTests {
    private static let replies: [(wire: String, value: RESPValue)] = [
        ("+OK\r\n", .status("OK")), ("+\r\n", .status("")), ("-ERR no\r\n", .error("ERR no")), (":0\r\n", .integer(0)),
        (":-1\r\n", .integer(-1)), (":9223372036854775807\r\n", .integer(.max)),
        (":-9223372036854775808\r\n", .integer(.min)),
        ("$0\r\n\r\n", .text("")), ("$3\r\nabc\r\n", .text("abc")), ("$6\r\na\r\n\0\nb\r\n", .text("a\r\n\0\nb")),
        ("$4\r\n😀\r\n", .text("😀")), ("$-1\r\n", .null), ("*-1\r\n", .null), ("*0\r\n", .array([])),
        ("*1\r\n$-1\r\n", .array([.null])),
        (
            "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\n\r\n\r\n", .array([.text("message"), .text("c"), .text("\r\n")])
        ),
        (
            "*4\r\n:1\r\n+s\r\n-E\r\n*2\r\n*0\r\n*1\r\n:2\r\n",
            .array([.integer(1), .status("s"), .error("E"), .array([.array([]), .array([.integer(2)])])])
        ),
        ("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:5\r\n", .array([.array([.array([.array([.array([.integer(5)])])])])])),
    ]

    @Test("every type of reply is read", arguments: replies.indices)
    func types(_ index: Int) throws {
        let (wire, value) = RESPReaderTests.replies[index]
        #expect(try RESPReader(replyBytesMax: 1 << 20).values(in: Array(wire.utf8)) == [value])
    }

    @Test("a pipeline of all types reads the same wherever it is split")
    func splitAnywhere() throws {
        let wire = Array(RESPReaderTests.replies.map(\.wire).joined().utf8)
        let expected = RESPReaderTests.replies.map(\.value)
        for split in 0...wire.count {
            let reader = RESPReader(replyBytesMax: 1 << 20)
            let values = try reader.values(in: Array(wire[..<split])) + reader.values(in: Array(wire[split...]))
            #expect(values == expected, "split at \(split)")
        }
    }

    @Test("a pipeline that comes byte by byte gives each reply with its last byte, not earlier")
    func byteByByte() throws {
        let reader = RESPReader(replyBytesMax: 1 << 20)
        for (wire, value) in RESPReaderTests.replies {
            let bytes = Array(wire.utf8)
            for byte in bytes.dropLast() { #expect(try reader.values(in: [byte]).isEmpty) }
            #expect(try reader.values(in: bytes.suffix(1)) == [value])
        }
    }

    @Test("random pieces of a long pipeline give the same replies", arguments: 0..<6 as Range<UInt64>)
    func randomPieces(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let chosen = (0..<200).compactMap { _ in RESPReaderTests.replies.randomElement(using: &generator) }
        var wire = Array(chosen.map(\.wire).joined().utf8)
        let big = [UInt8](repeating: 0x0D, count: 100_000)
        wire += Array("$\(big.count)\r\n".utf8) + big + Array("\r\n".utf8)
        let reader = RESPReader(replyBytesMax: 1 << 20)
        var values: [RESPValue] = []
        while !wire.isEmpty {
            let count = Int.random(in: 0...min(wire.count, 3000), using: &generator)
            values += try reader.values(in: Array(wire.prefix(count)))
            wire.removeFirst(count)
        }
        #expect(values == chosen.map(\.value) + [.bulk(ByteBuffer(bytes: big))])
    }

    @Test(
        "what is no reply is an error, and the reader stays dead",
        arguments: [
            "HTTP/1.1 200 OK\r\n", "\r\n", "\0\r\n", " +OK\r\n", "$a\r\n", "$-2\r\n", "*-2\r\n", "*x\r\n", ":1x\r\n",
            ":\r\n",
            "*1\r\n?\r\n", "$99999999999999999999\r\n", "*99999999999999999999\r\n",
            "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
        ])
    func garbage(_ wire: String) {
        let reader = RESPReader(replyBytesMax: 1 << 20)
        #expect(throws: RESPError.self) { try reader.values(in: Array(wire.utf8)) }
        #expect(throws: RESPError.self) { try reader.values(in: Array("+OK\r\n".utf8)) }
    }

    @Test("replies before the garbage are handed over")
    func repliesBeforeGarbage() throws {
        let reader = RESPReader(replyBytesMax: 1 << 20)
        var statuses: [RESPValue] = []
        let bytes = Array("+OK\r\n:5\r\n!garbage\r\n".utf8)
        #expect(throws: RESPError.self) {
            try bytes.withUnsafeBytes { try reader.read($0) { statuses.append($0.value) } }
        }
        #expect(statuses == [.status("OK"), .integer(5)])
    }

    @Test("random bytes never trap", arguments: 0..<8 as Range<UInt64>)
    func fuzz(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var failures = 0
        for _ in 0..<400 {
            var bytes = Array((RESPReaderTests.replies.randomElement(using: &generator)?.wire ?? "").utf8)
            bytes += Array((RESPReaderTests.replies.randomElement(using: &generator)?.wire ?? "").utf8)
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                bytes[Int.random(in: bytes.indices, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            if (try? RESPReader(replyBytesMax: 1 << 20).values(in: bytes)) == nil { failures += 1 }
        }
        #expect(failures > 50)
    }

    @Test("more than the limit without a complete reply is an error; complete replies of any number are not")
    func tooLarge() throws {
        let reader = RESPReader(replyBytesMax: 1000)
        for _ in 0..<1000 { #expect(try reader.values(in: Array("+OK\r\n".utf8)) == [.status("OK")]) }
        #expect(try reader.values(in: Array("$100000\r\n".utf8)).isEmpty)
        #expect(try reader.values(in: Array(repeating: 0x61, count: 991)).isEmpty)
        #expect(throws: RESPError.tooLarge) { try reader.values(in: [0x61]) }
    }

    @Test(
        "an array is refused as soon as it announces more than can come within the limit, at any depth",
        arguments: ["*2147483647\r\n", "*334\r\n", "*1\r\n*2\r\n+OK\r\n*334\r\n"])
    func announcedTooLarge(_ wire: String) throws {
        let reader = RESPReader(replyBytesMax: 1000)
        #expect(throws: RESPError.self) { try reader.values(in: Array(wire.utf8)) }
        #expect(try RESPReader(replyBytesMax: 1000).values(in: Array("*333\r\n".utf8)).isEmpty)
    }

    @Test("a large reply within the limit is read whole, fed at once")
    func largeReply() throws {
        let data = [UInt8](repeating: 0x78, count: 3 << 20)
        let wire = Array("$\(data.count)\r\n".utf8) + data + Array("\r\n+OK\r\n".utf8)
        let values = try RESPReader(replyBytesMax: 4 << 20).values(in: wire)
        #expect(values == [.bulk(ByteBuffer(bytes: data)), .status("OK")])
    }

    // MARK: Pushes

    private static func push(_ wire: String) throws -> [[String]?] {
        var pushes: [[String]?] = []
        try Array(wire.utf8).withUnsafeBytes { bytes in
            try RESPReader(replyBytesMax: 1 << 20).read(bytes) { reply in
                pushes.append(
                    reply.withPush { kind, channel, payload in
                        [kind, channel, payload].map { String(decoding: $0, as: UTF8.self) }
                    })
            }
        }
        return pushes
    }

    @Test("a push gives its kind, channel and payload without a copy of the rest")
    func pushes() throws {
        #expect(
            try RESPReaderTests.push(
                "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\na\r\nb\r\n*3\r\n$9\r\nsubscribe\r\n$2\r\né\r\n:1\r\n*2\r\n$1\r\nx\r\n$0\r\n\r\n"
            )
                == [["message", "c", "a\r\nb"], ["subscribe", "é", ""], ["x", "", ""]])
    }

    @Test(
        "what is not a push gives nothing",
        arguments: [
            "+OK\r\n", ":1\r\n", "-ERR\r\n", "$7\r\nmessage\r\n", "*0\r\n", "*-1\r\n", "*1\r\n$7\r\nmessage\r\n",
            "$-1\r\n",
        ])
    func notAPush(_ wire: String) throws {
        #expect(try RESPReaderTests.push(wire) == [nil])
    }

    @Test("an unsubscription without a channel has an empty name")
    func nullChannel() throws {
        #expect(try RESPReaderTests.push("*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n") == [["unsubscribe", "", ""]])
    }

    @Test("a value's text is that of bulk and status replies only")
    func accessors() {
        #expect(RESPValue.text("a").string == "a")
        #expect(RESPValue.status("a").string == "a")
        #expect(RESPValue.error("a").string == nil)
        #expect(RESPValue.integer(1).string == nil)
        #expect(RESPValue.array([.null]).array == [.null])
        #expect(RESPValue.null.array == nil)
    }
}
