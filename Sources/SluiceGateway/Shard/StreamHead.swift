// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceCore

/// The response head of a stream: as the bytes that go out on HTTP/1, and as fields for HTTP/2.
///
/// The bytes are written by hand, because by then NIO's HTTP handlers have left the pipeline. What each line is for: no
/// cache and no transformation on the way; nginx must not buffer; some clients decode as Latin-1 what names no charset; and
/// the connection ends with the stream, so that nobody sends another request on it.
package struct StreamHead: Sendable {
    package static let contentType = "text/event-stream; charset=utf-8"

    private let chunked: String
    private let plain: String
    private let noContent: String
    private let fields: HTTPHeaders
    private let noContentFields: HTTPHeaders
    /// Made once for each second.
    private var dateLine = ""
    private var dateSecond = 0

    package init(nodeID: String) {
        let common = ResponseHeaders.common(nodeID: nodeID)
        let stream =
            [
                ("Content-Type", StreamHead.contentType), ("Cache-Control", "no-cache, no-store, no-transform"),
                ("X-Accel-Buffering", "no"),
            ] + common
        let lines = stream.map { "\($0.0): \($0.1)\r\n" }.joined()
        chunked = "HTTP/1.1 200 OK\r\n\(lines)Transfer-Encoding: chunked\r\nConnection: close\r\n"
        plain = "HTTP/1.1 200 OK\r\n\(lines)Connection: close\r\n"
        let every = common.map { "\($0.0): \($0.1)\r\n" }.joined()
        noContent = "HTTP/1.1 204 No Content\r\n\(every)Cache-Control: no-store\r\nConnection: close\r\n"
        fields = HTTPHeaders(stream)
        noContentFields = HTTPHeaders(common + [("Cache-Control", "no-store")])
    }

    /// - Parameter extra: fields for this stream only, checked: they go out as they are.
    package mutating func write(_ wire: StreamWire, extra: [(String, String)], to bytes: inout ByteBuffer) {
        write(wire == .chunked ? chunked : plain, extra, to: &bytes)
    }

    /// The answer to a stream that has ended and was read to its end: an `EventSource` stops at it.
    package mutating func writeNoContent(extra: [(String, String)], to bytes: inout ByteBuffer) {
        write(noContent, extra, to: &bytes)
    }

    private mutating func write(_ lines: String, _ extra: [(String, String)], to bytes: inout ByteBuffer) {
        let second = Int(WallClock.milliseconds() / 1000)
        if second != dateSecond {
            dateSecond = second
            dateLine = "Date: \(HTTPDate.text(secondsSince1970: second))\r\n\r\n"
        }
        bytes.writeString(lines)
        for (name, value) in extra { bytes.writeString("\(name): \(value)\r\n") }
        bytes.writeString(dateLine)
    }

    /// The same for HTTP/2.
    package func head(_ status: HTTPResponseStatus, extra: [(String, String)]) -> HTTPResponseHead {
        var headers = status == .noContent ? noContentFields : fields
        for (name, value) in extra { headers.add(name: name, value: value) }
        headers.add(name: "Date", value: HTTPDate.now())
        return HTTPResponseHead(version: .http2, status: status, headers: headers)
    }
}

/// The header fields that every response has.
package enum ResponseHeaders {
    package static func common(nodeID: String) -> [(String, String)] {
        [
            ("X-Content-Type-Options", "nosniff"),
            // Tokens may be in the URL.
            ("Referrer-Policy", "no-referrer"),
            ("Sluice-Node", nodeID),
            // A page can't read the headers of its own response, but it can read this.
            ("Server-Timing", "node;desc=\"\(nodeID)\""),
        ]
    }
}
