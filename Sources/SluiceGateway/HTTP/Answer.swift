// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1

/// A whole response, without the header fields that all have in common.
package struct Answer: Sendable {
    package var status: HTTPResponseStatus = .ok
    package var headers: [(String, String)] = [("Cache-Control", "no-store")]
    package var contentType: String?
    package var body = ByteBuffer()
    package var isProblem = false
    /// It stands for one whose length nobody knows, as the answer to HEAD does for a stream.
    package var isOpenEnded = false

    package init(status: HTTPResponseStatus = .ok, contentType: String? = nil, body: String = "") {
        self.status = status
        self.contentType = contentType
        self.body = ByteBuffer(string: body)
    }

    package init(json: String) {
        self.init(contentType: "application/json", body: json)
    }

    package init(text: String, status: HTTPResponseStatus = .ok) {
        self.init(status: status, contentType: "text/plain; charset=utf-8", body: text)
    }

    package init(problem: HTTPProblem) {
        self.init(status: problem.status, contentType: "application/json", body: problem.body)
        headers += problem.headers
        isProblem = true
    }

    /// A stream that is over at once: what an `EventSource` is sent away with, because any status but 200 ends it for good.
    package init(stream lines: String) {
        self.init(contentType: StreamHead.contentType, body: lines)
        headers = [("Cache-Control", "no-cache, no-store, no-transform"), ("X-Accel-Buffering", "no")]
    }

    /// - Parameters:
    ///   - common: the fields that all answers have, and those for the page that asked.
    ///   - closes: this is the last answer of an HTTP/1 connection.
    package func head(_ version: HTTPVersion, common: [(String, String)], closes: Bool) -> HTTPResponseHead {
        var head = HTTPResponseHead(version: version, status: status)
        for (name, value) in common + headers { head.headers.add(name: name, value: value) }
        head.headers.add(name: "Date", value: HTTPDate.now())
        if let contentType { head.headers.add(name: "Content-Type", value: contentType) }
        if status != .noContent, !isOpenEnded {
            head.headers.add(name: "Content-Length", value: String(body.readableBytes))
        }
        if closes { head.headers.add(name: "Connection", value: "close") }
        return head
    }
}
