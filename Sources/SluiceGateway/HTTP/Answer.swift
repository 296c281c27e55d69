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
        self.init(contentType: "text/event-stream", body: lines)
        headers = [("Cache-Control", "no-cache, no-store, no-transform"), ("X-Accel-Buffering", "no")]
    }
}
