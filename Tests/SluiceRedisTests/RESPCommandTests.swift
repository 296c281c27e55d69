// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceRedis
import TestSupport
import Testing

@Suite("RESPCommand")
struct RESPCommandTests {
    private static func written(_ command: RESPCommand) -> [UInt8] {
        var buffer = ByteBuffer()
        command.write(to: &buffer)
        return Array(buffer.readableBytesView)
    }

    @Test("words are written with their lengths in bytes, empty ones too")
    func format() {
        var command: RESPCommand = ["SET", "日", ""]
        #expect(RESPCommandTests.written(command) == Array("*3\r\n$3\r\nSET\r\n$3\r\n日\r\n$0\r\n\r\n".utf8))
        command.append("x")
        #expect(RESPCommandTests.written(command) == Array("*4\r\n$3\r\nSET\r\n$3\r\n日\r\n$0\r\n\r\n$1\r\nx\r\n".utf8))
        #expect(RESPCommandTests.written(RESPCommand([""])) == Array("*1\r\n$0\r\n\r\n".utf8))
        #expect(RESPCommandTests.written(RESPCommand(["", ""])) == Array("*2\r\n$0\r\n\r\n$0\r\n\r\n".utf8))
    }

    @Test(
        "words of any bytes arrive as they are, also those that lie within a larger buffer",
        arguments: 0..<4 as Range<UInt64>)
    func binary(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<100 {
            let words = (0..<Int.random(in: 1...6, using: &generator)).map { _ in
                (0..<Int.random(in: 0...30, using: &generator)).map { _ in
                    [0x00, 0x0A, 0x0D, 0x24, 0x2A, 0x25, 0x73, 0xFF].randomElement(using: &generator) ?? UInt8(0)
                }
            }
            let buffers = words.map { word in
                var buffer = ByteBuffer(bytes: [0x41, 0x42] + word + [0x43])
                buffer.moveReaderIndex(forwardBy: 2)
                buffer.moveWriterIndex(to: buffer.writerIndex - 1)
                return buffer
            }
            // A command is an array of bulk strings, so the reader reads it back.
            let values = try RESPReader(replyBytesMax: 1 << 20).values(
                in: RESPCommandTests.written(RESPCommand(words: buffers)))
            #expect(values == [.array(words.map { .bulk(ByteBuffer(bytes: $0)) })])
        }
    }

    @Test("commands are appended one behind the other")
    func appends() {
        var buffer = ByteBuffer(string: "x")
        RESPCommand(["PING"]).write(to: &buffer)
        RESPCommand(["PING"]).write(to: &buffer)
        #expect(String(buffer: buffer) == "x*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n")
    }

    @Test("a megabyte and many words are written whole")
    func large() throws {
        let data = String(repeating: "y", count: 1 << 20)
        let names = (0..<512).map { "sluice:topic:\($0)" }
        let command = RESPCommand(["SUBSCRIBE"] + names + [data])
        let values = try RESPReader(replyBytesMax: 4 << 20).values(in: RESPCommandTests.written(command))
        #expect(values == [.array((["SUBSCRIBE"] + names + [data]).map { .text($0) })])
    }
}
