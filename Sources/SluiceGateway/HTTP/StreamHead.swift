// SPDX-License-Identifier: Apache-2.0

/// The response head of a stream, as the bytes that go out.
///
/// Written by hand, because by then NIO's HTTP handlers have left the pipeline. What each line is for: no cache and no
/// transformation on the way; nginx must not buffer; the type is taken literally.
package struct StreamHead: Sendable {
    private let chunked: String
    private let plain: String
    /// The answer to a stream that has ended and was read to its end: an `EventSource` stops at it.
    package let noContent: String

    package init(nodeID: String) {
        let every = ResponseHeaders.common(nodeID: nodeID).map { "\($0.0): \($0.1)\r\n" }.joined()
        noContent = "HTTP/1.1 204 No Content\r\n\(every)Cache-Control: no-store\r\nConnection: close\r\n\r\n"
        let common = """
            HTTP/1.1 200 OK\r
            Content-Type: text/event-stream\r
            Cache-Control: no-cache, no-store, no-transform\r
            X-Accel-Buffering: no\r
            \(every)
            """
        chunked = common + "Transfer-Encoding: chunked\r\n\r\n"
        plain = common + "Connection: close\r\n\r\n"
    }

    package func text(_ framing: Stream.Framing) -> String {
        framing == .chunked ? chunked : plain
    }
}

/// The header fields that every response has.
package enum ResponseHeaders {
    package static func common(nodeID: String) -> [(String, String)] {
        [
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Access-Control-Allow-Origin", "*"),
            ("Access-Control-Expose-Headers", "Sluice-Node"),
            ("Sluice-Node", nodeID),
            // A page can't read the headers of its own response, but it can read this.
            ("Server-Timing", "node;desc=\"\(nodeID)\""),
        ]
    }
}
