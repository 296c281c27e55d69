// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1
import SluiceCore

/// Which routes there are: one table for the public listener, one for the admin's.
package enum Router: Sendable {
    case `public`
    case admin

    /// - Throws: ``HTTPProblem`` if there is no such route, or it does not take the request's method.
    package func route(_ head: HTTPRequestHead, path: String) throws(HTTPProblem) -> Route {
        let route = try route(path)
        guard route.methods.contains(head.method) else {
            throw .methodNotAllowed(route.methods.map(\.rawValue).joined(separator: ", "))
        }
        return route
    }

    private func route(_ path: String) throws(HTTPProblem) -> Route {
        switch (self, path) {
        case (_, "/healthz"): .health
        case (_, "/readyz"): .readiness
        case (.admin, "/metrics"): .metrics
        case (.public, "/"): .page
        case (.public, "/events"): .events
        case (.public, "/sse"): .articleStream
        case (.public, "/publish"): .publish
        case (.public, "/push"): .articlePush
        case (.public, _) where path.hasPrefix("/clients/"): .client(String(path.dropFirst("/clients/".count)))
        default: throw .notFound
        }
    }
}

/// One thing that can be asked of a node.
package enum Route: Equatable, Sendable {
    case health
    case readiness
    case metrics
    case page
    case events
    /// `GET /sse?client_id=c`, as the articles have it.
    case articleStream
    case publish
    /// `GET or POST /push?client_id=c&message=m`, as the articles have it.
    case articlePush
    /// With the client's id, not checked yet.
    case client(String)

    package var methods: [HTTPMethod] {
        switch self {
        case .health, .readiness, .metrics, .page, .events, .articleStream: [.GET, .HEAD, .OPTIONS]
        case .publish: [.POST, .OPTIONS]
        case .articlePush: [.GET, .POST, .OPTIONS]
        case .client: [.DELETE, .OPTIONS]
        }
    }

    /// Whether it matters who asks. The others say the same to everybody.
    package var needsGrant: Bool {
        switch self {
        case .health, .readiness, .metrics, .page: false
        case .events, .articleStream, .publish, .articlePush, .client: true
        }
    }

    package var isStream: Bool {
        switch self {
        case .events, .articleStream: true
        default: false
        }
    }

    package var publishes: Bool {
        switch self {
        case .publish, .articlePush: true
        default: false
        }
    }

    /// Load balancers ask for these by address, and no page has a use for them.
    package var isForEveryHost: Bool {
        switch self {
        case .health, .readiness, .metrics: true
        default: false
        }
    }
}
