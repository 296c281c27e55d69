// SPDX-License-Identifier: Apache-2.0
import NIOHPACK
import Testing

@testable import SluiceBench

@Suite struct BenchResponseHeadTests {
    @Test func readsWhatMatters() throws {
        let text =
            "HTTP/1.1 200 OK\r\ncontent-TYPE: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n:"
        let bytes = Array(text.utf8)
        let length = try #require(ResponseHead.length(in: bytes))
        #expect(length == bytes.count - 1)
        let head = try #require(ResponseHead(bytes[..<length]))
        #expect(head.status == 200 && head.isEventStream && head.isChunked)
        #expect(ResponseHead.length(in: Array("HTTP/1.1 200 OK\r\n\r".utf8)) == nil)
        #expect(ResponseHead(Array("SSH-2.0\r\n\r\n".utf8)) == nil)
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", nil),
        ("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", "the answer is no event stream"),
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", "HTTP/1.1 503 Service Unavailable"),
    ])
    func saysWhyItIsNoStream(text: String, problem: String?) throws {
        #expect(try #require(ResponseHead(Array(text.utf8))).problem == problem)
    }

    @Test(
        arguments: [
            ([(":status", "200"), ("content-type", "text/event-stream")], nil),
            ([(":status", "200")], "the answer is no event stream"),
            ([(":status", "403"), ("content-type", "application/json")], "HTTP/2 403"),
            ([], "HTTP/2 0"),
        ] as [([(String, String)], String?)])
    func saysWhyItIsNoStreamOfHTTP2(fields: [(String, String)], problem: String?) {
        let head = ResponseHead(HPACKHeaders(fields))
        #expect(head.problem == problem && !head.isChunked)
    }
}
