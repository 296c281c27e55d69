// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Testing

@testable import SluiceClient

@Suite struct LineSplitterTests {
    private func lines(_ pieces: [String], bytesMax: Int = 100) throws -> [String] {
        var splitter = LineSplitter(bytesMax: bytesMax)
        var result: [ByteBuffer] = []
        for piece in pieces { result += try splitter.read(Array(piece.utf8)) }
        if let last = try splitter.end() { result.append(last) }
        return result.map { String(buffer: $0) }
    }

    @Test func linesOfAnyPieces() throws {
        let text = "a\r\n\nlast ä\n\r\nx\ry"
        for cut in 0...text.utf8.count {
            let bytes = Array(text.utf8)
            var splitter = LineSplitter(bytesMax: 100)
            var result = try splitter.read(bytes[..<cut]) + (try splitter.read(bytes[cut...]))
            if let last = try splitter.end() { result.append(last) }
            #expect(result.map { String(buffer: $0) } == ["a", "", "last ä", "", "x\ry"])
        }
        #expect(try lines(["a\n"]) == ["a"])
        #expect(try lines([]) == [])
    }

    @Test func longLinesAreRefused() throws {
        #expect(try lines(["123\r\n123"], bytesMax: 3) == ["123", "123"])
        #expect(throws: LineSplitter.TooLong(line: 2, bytesMax: 3)) { try lines(["1\n1234\n"], bytesMax: 3) }
        #expect(throws: LineSplitter.TooLong(line: 1, bytesMax: 3)) { try lines(["12", "345"], bytesMax: 3) }
    }
}
