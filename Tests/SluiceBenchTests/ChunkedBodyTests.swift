// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import SluiceBench

@Suite struct ChunkedBodyTests {
    private func read(_ pieces: [[UInt8]], isChunked: Bool = true) throws -> (text: String, isEnded: Bool) {
        var body = ChunkedBody(isChunked: isChunked)
        var result: [UInt8] = []
        for piece in pieces {
            try piece.withUnsafeBytes { bytes in try body.read(bytes) { result += $0 } }
        }
        return (String(decoding: result, as: UTF8.self), body.isEnded)
    }

    @Test func piecesOfAnySizeMakeNoDifference() throws {
        let stream = Array("5\r\nhello\r\n1A;name=value\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nTrailer: x\r\n\r\n".utf8)
        for first in 0...stream.count {
            for second in first...stream.count {
                let pieces = [Array(stream[..<first]), Array(stream[first..<second]), Array(stream[second...])]
                #expect(try read(pieces) == ("helloabcdefghijklmnopqrstuvwxyz", true))
            }
        }
    }

    @Test func anOpenBodyIsNotEnded() throws {
        #expect(try read([Array("2\r\n:\n\r\n3\r\n".utf8)]) == (":\n", false))
        #expect(try read([Array("anything".utf8)], isChunked: false) == ("anything", false))
    }

    @Test(arguments: ["x\r\n", "2\r\nabc", "-1\r\n", "fffffffffffffff\r\n"])
    func malformedChunksAreRefused(_ text: String) {
        #expect(throws: ChunkedBody.Malformed.self) { try read([Array(text.utf8)]) }
    }
}
