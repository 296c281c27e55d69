// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceCore

/// The routes of one listener. What a route does is beside what it needs: `StreamRoute`, `PublishRoute`, `ClientRoute`,
/// `TrialRoute`, `WhoRoute`, `NodesRoute`.
package struct RouteTable: Sendable {
    private let routes: [Route]

    private init(_ routes: [Route]) {
        self.routes = routes.map { $0.among(routes) }
    }

    /// What everybody may ask the public listener for.
    static func `public`(
        readiness: Readiness, trial: TrialRoute, stream: StreamRoute, publish: PublishRoute, client: ClientRoute,
        who: WhoRoute
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
                Route("/clients/", name: .last, methods: [.GET, .HEAD], for: .observers, answer: who.client),
                Route("/clients/", name: .last, methods: [.DELETE], for: .administrators, answer: client.disconnect),
                Route(
                    "/clients/", name: .before("/pause"), methods: [.POST], for: .administrators, takesBody: true,
                    answer: client.pause),
                Route("/topics/", name: .last, methods: [.GET, .HEAD], for: .observers, answer: who.topic),
                Route("/presence", methods: [.POST], for: .observers, takesBody: true, answer: who.presence),
            ])
    }

    /// What the operator's listener has instead.
    static func admin(readiness: Readiness, metrics: MetricsRoute, nodes: NodesRoute) -> RouteTable {
        RouteTable(
            operations(readiness) + [
                Route("/dashboard", methods: [.GET, .HEAD], for: .everybody, isForEveryHost: true) { _ in
                    .answer(Page.dashboard.answer)
                },
                Route("/nodes", methods: [.GET, .HEAD], for: .everybody, isForEveryHost: true, answer: nodes.nodes),
                Route(
                    "/metrics", methods: [.GET, .HEAD], for: .everybody, isForEveryHost: true, answer: metrics.show),
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
        let matching = routes.compactMap { route in route.match(path).map { (route: route, name: $0) } }
        guard let first = matching.first else { throw .notFound }
        guard let (route, name) = matching.first(where: { $0.route.takes(method) }) else {
            throw .methodNotAllowed(first.route.allowed.map(\.rawValue).joined(separator: ", "))
        }
        // It may be percent-encoded, since it may have any character.
        guard let name = PercentEncoding.decode(name, plusIsSpace: false) else {
            throw .badRequest("the name in the path is not percent-encoded UTF-8")
        }
        return (route, name)
    }
}
