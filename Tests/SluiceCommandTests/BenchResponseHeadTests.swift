// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import sluice

@Suite struct BenchResponseHeadTests {
    @Test func readsWhatMatters() throws {
        let text =
            "HTTP/1.1 200 OK\r\ncontent-TYPE: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n:"
        let bytes = Array(text.utf8)
        let length = try #require(BenchResponseHead.length(in: bytes))
        #expect(length == bytes.count - 1)
        let head = try #require(BenchResponseHead(bytes[..<length]))
        #expect(head.status == 200 && head.isEventStream && head.isChunked)
        #expect(BenchResponseHead.length(in: Array("HTTP/1.1 200 OK\r\n\r".utf8)) == nil)
        #expect(BenchResponseHead(Array("SSH-2.0\r\n\r\n".utf8)) == nil)
    }
}
