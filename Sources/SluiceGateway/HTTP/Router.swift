// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceCore

/// Which route answers a request: one table for the public listener, one for the admin's.
package enum Router: Sendable {
    case `public`
    case admin

    package enum Outcome {
        case answer(Answer)
        case later(EventLoopFuture<Answer>)
        case stream(StreamRequest)
    }

    package func route(_ head: HTTPRequestHead, body: ByteBuffer, node: Node) -> Outcome {
        do throws(HTTPProblem) {
            let target = try RequestTarget(head.uri)
            let request = Request(head: head, target: target, body: body, node: node)
            switch (self, target.path) {
            case (_, "/healthz"): return try request.get { .answer(Answer(text: "ok\n")) }
            case (_, "/readyz"): return try request.get { request.readiness() }
            case (.public, "/"): return try request.get { .answer(Page.answer) }
            case (.public, "/events"): return try request.events()
            case (.public, "/sse"): return try request.articleStream()
            case (.public, "/publish"): return try request.publish()
            case (.public, "/push"): return try request.articlePush()
            case (.admin, "/metrics"): return try request.get { request.metrics() }
            default: throw .notFound
            }
        } catch {
            return .answer(Answer(problem: error))
        }
    }
}

/// The path and query of a request's target (RFC 9112 §3.2): the origin form, or the absolute form, whose host says nothing new.
package struct RequestTarget: Equatable {
    package let path: String
    package let query: Substring

    package init(_ uri: String) throws(HTTPProblem) {
        var rest = uri[...]
        if !rest.hasPrefix("/") {
            guard let scheme = ["http://", "https://"].first(where: { rest.lowercased().hasPrefix($0) }) else {
                if uri == "*" {
                    path = "*"
                    query = ""
                    return
                }
                throw .badRequest("the request's target must be a path")
            }
            rest = rest.dropFirst(scheme.count)
            rest = rest.firstIndex(where: { $0 == "/" || $0 == "?" }).map { rest[$0...] } ?? "/"
            if rest.hasPrefix("?") { rest = "/" + rest }
        }
        let parts = rest.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard let path = PercentEncoding.decode(parts[0], plusIsSpace: false) else {
            throw .badRequest("the path is not percent-encoded UTF-8")
        }
        self.path = path
        query = parts.count > 1 ? parts[1] : ""
    }
}
