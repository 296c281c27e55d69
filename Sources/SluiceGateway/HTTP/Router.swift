// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1
import SluiceCore

/// Which routes there are: one table for the public listener, one for the admin's.
package enum Router: Sendable {
    case `public`
    case admin

    /// - Parameter path: as it came, and compared so: `/%70ublish` is not `/publish`, for which a load balancer in front
    ///   may have a rule.
    /// - Throws: ``HTTPProblem`` if there is no such route, or it does not take the request's method.
    package func route(_ method: HTTPMethod, path: Substring) throws(HTTPProblem) -> Route {
        let route = try route(path)
        guard route.methods.contains(method) else {
            throw .methodNotAllowed(route.methods.map(\.rawValue).joined(separator: ", "))
        }
        return route
    }

    private func route(_ path: Substring) throws(HTTPProblem) -> Route {
        switch (self, path) {
        case (_, "*"): .server
        case (_, "/healthz"): .health
        case (_, "/readyz"): .readiness
        case (.admin, "/metrics"): .metrics
        case (.public, "/"): .page
        case (.public, "/events"), (.public, "/events/"), (.public, "/sse"), (.public, "/sse/"), (.public, "/stream"),
            (.public, "/stream/"):
            .stream
        case (.public, "/publish"): .publish
        case (.public, "/push"): .push
        case (.public, _) where path.utf8.starts(with: Router.clients.utf8): .client(try client(path))
        default: throw .notFound
        }
    }

    private static let clients = "/clients/"

    /// The id may be percent-encoded, since it may have any character; a slash in it must be.
    private func client(_ path: Substring) throws(HTTPProblem) -> String {
        let id = Substring(path.utf8.dropFirst(Router.clients.utf8.count))
        guard !id.utf8.contains(UInt8(ascii: "/")) else { throw .notFound }
        guard let client = PercentEncoding.decode(id, plusIsSpace: false) else {
            throw .badRequest("the client's id is not percent-encoded UTF-8")
        }
        return client
    }
}

/// One thing that can be asked of a node.
package enum Route: Equatable, Sendable {
    /// `OPTIONS *`: the node as a whole (RFC 9110 §9.3.7).
    case server
    case health
    case readiness
    case metrics
    case page
    /// `GET /events`; as `/sse` and `/stream` it is known to pages of the web.
    case stream
    case publish
    /// `GET or POST /push?client_id=c&message=m`, as pages of the web have it.
    case push
    /// With the client's id, not checked yet.
    case client(String)

    package var methods: [HTTPMethod] {
        switch self {
        case .server: [.OPTIONS]
        case .health, .readiness, .metrics, .page, .stream: [.GET, .HEAD, .OPTIONS]
        case .publish: [.POST, .OPTIONS]
        case .push: [.GET, .POST, .OPTIONS]
        case .client: [.DELETE, .OPTIONS]
        }
    }

    /// Whether it matters who asks. The others say the same to everybody.
    package var needsGrant: Bool {
        switch self {
        case .server, .health, .readiness, .metrics, .page: false
        case .stream, .publish, .push, .client: true
        }
    }

    package var isStream: Bool {
        self == .stream
    }

    package var publishes: Bool {
        switch self {
        case .publish, .push: true
        default: false
        }
    }

    /// Load balancers ask for these by address, and no page has a use for them.
    package var isForEveryHost: Bool {
        switch self {
        case .server, .health, .readiness, .metrics: true
        default: false
        }
    }
}
