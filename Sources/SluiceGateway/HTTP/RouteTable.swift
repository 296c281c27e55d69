// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceCore

/// The routes of one listener. What a route does is beside what it needs: `StreamRoute`, `PublishRoute`, `ClientRoute`,
/// `TrialRoute`.
package struct RouteTable: Sendable {
    private let routes: [Route]

    private init(_ routes: [Route]) {
        self.routes = routes
    }

    /// What everybody may ask the public listener for.
    static func `public`(
        readiness: Readiness, trial: TrialRoute, stream: StreamRoute, publish: PublishRoute, client: ClientRoute
    ) -> RouteTable {
        RouteTable(
            operations(readiness) + [
                Route("/", methods: [.GET, .HEAD], for: .everybody, answer: trial.show),
                // As /sse and /stream it is known to pages of the web.
                Route(
                    "/events", "/events/", "/sse", "/sse/", "/stream", "/stream/", methods: [.GET, .HEAD],
                    for: .readers, answer: stream.open),
                Route("/publish", methods: [.POST], for: .publishers, takesBody: true, answer: publish.publish),
                // `/push?client_id=c&message=m`, as pages of the web have it.
                Route("/push", methods: [.GET, .POST], for: .publishers, takesBody: true, answer: publish.push),
                Route(
                    "/clients/", hasName: true, methods: [.DELETE], for: .administrators, answer: client.disconnect),
            ])
    }

    /// What the operator's listener has instead.
    static func admin(readiness: Readiness, metrics: MetricsRoute) -> RouteTable {
        RouteTable(
            operations(readiness) + [
                Route("/dashboard", methods: [.GET, .HEAD], for: .everybody, isForEveryHost: true) { _ in
                    .answer(Page.dashboard.answer)
                },
                Route(
                    "/metrics", methods: [.GET, .HEAD], for: .everybody, isForEveryHost: true, answer: metrics.show)
            ])
    }

    private static func operations(_ readiness: Readiness) -> [Route] {
        [
            // `OPTIONS *`: the node as a whole (RFC 9110 §9.3.7).
            Route("*", methods: [], for: .everybody, isForEveryHost: true) { _ in .answer(Answer()) },
            Route("/healthz", methods: [.GET, .HEAD], for: .everybody, isForEveryHost: true) { _ in
                .answer(Answer(text: "ok\n"))
            },
            Route(
                "/readyz", methods: [.GET, .HEAD], for: .everybody, isForEveryHost: true, answer: readiness.answer),
        ]
    }

    /// - Parameter path: as it came, and compared so: `/%70ublish` is not `/publish`, for which a load balancer in front
    ///   may have a rule.
    /// - Returns: the route, and the name behind its path if it has one; nobody has checked that.
    /// - Throws: ``HTTPProblem`` if there is no such route, or it does not take the request's method.
    package func route(
        _ method: HTTPMethod, path: Substring
    ) throws(HTTPProblem) -> (route: Route, name: String) {
        guard let route = routes.first(where: { $0.matches(path) }) else { throw .notFound }
        let name = route.hasName ? try RouteTable.name(in: path, behind: route.paths[0]) : ""
        guard route.terms.methods.contains(method) else {
            throw .methodNotAllowed(route.terms.methods.map(\.rawValue).joined(separator: ", "))
        }
        return (route, name)
    }

    /// The name may be percent-encoded, since it may have any character; a slash in it must be.
    private static func name(in path: Substring, behind parent: String) throws(HTTPProblem) -> String {
        let text = Substring(path.utf8.dropFirst(parent.utf8.count))
        guard !text.utf8.contains(UInt8(ascii: "/")) else { throw .notFound }
        guard let name = PercentEncoding.decode(text, plusIsSpace: false) else {
            throw .badRequest("the client's id is not percent-encoded UTF-8")
        }
        return name
    }
}
