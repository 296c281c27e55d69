// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceCore

/// Which route answers a request: one table for the public listener, one for the admin's.
package enum Router: Sendable {
    case `public`
    case admin

    package enum Outcome: Sendable {
        case answer(Answer)
        case later(EventLoopFuture<Answer>)
        case stream(StreamRequest)
        /// What comes of it once its token is checked; never fails.
        case authorizing(EventLoopFuture<Outcome>)
    }

    package func route(
        _ head: HTTPRequestHead, body: ByteBuffer, visitor: Visitor, node: Node, on eventLoop: any EventLoop
    ) -> Outcome {
        do throws(HTTPProblem) {
            let target = try RequestTarget(head.uri)
            let request = Request(
                head: head, target: target, body: body, visitor: visitor, node: node, eventLoop: eventLoop)
            switch (self, target.path) {
            // For load balancers, which ask by address.
            case (_, "/healthz"): return try request.get { .answer(Answer(text: "ok\n")) }
            case (_, "/readyz"): return try request.get { request.readiness() }
            case (.admin, "/metrics"): return try request.get { request.metrics() }
            case (.admin, _): throw .notFound
            case (.public, let path):
                guard node.hosts.permits(visitor.authority) else { throw HostPolicy.refusal }
                guard visitor.origin != .refused else { throw OriginPolicy.refusal }
                return try Router.open(path, request)
            }
        } catch {
            return .answer(Answer(problem: error))
        }
    }

    /// What everybody may ask of whom host and origin allow it.
    private static func open(_ path: String, _ request: Request) throws(HTTPProblem) -> Outcome {
        switch path {
        case "/": try request.get { .answer(Page.answer) }
        case "/events": try request.events()
        case "/sse": try request.articleStream()
        case "/publish": try request.publish()
        case "/push": try request.articlePush()
        case _ where path.hasPrefix("/clients/"):
            try request.client(path.dropFirst("/clients/".count))
        default: throw .notFound
        }
    }
}

/// The path and query of a request's target (RFC 9112 §3.2): the origin form, or the absolute form, whose host ``Authority`` reads.
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
