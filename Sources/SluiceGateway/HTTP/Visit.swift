// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1
import SluiceCore

/// A request as far as its head tells: what is asked for, by whom, and for whom; before a byte of its body is read.
package struct Visit: Sendable {
    package enum Permission: Sendable {
        /// Of who shows no token, or needs none.
        case open(Grant)
        /// Of a token that was verified before.
        case verified(Grant)
        /// The token has to be verified first.
        case unchecked(token: String)
    }

    package let route: Route
    package let query: Query
    /// nil: a trusted proxy that does not say for whom it asks.
    package let address: NetworkAddress?
    package let permission: Permission
    private let method: HTTPMethod

    /// - Throws: ``HTTPProblem``, of which the answer's reader may be a page: see ``corsHeaders(head:node:)``.
    package init(head: HTTPRequestHead, router: Router, peer: NetworkAddress?, node: Node) throws(HTTPProblem) {
        let authority = try Authority.of(uri: head.uri, headers: head.headers, version: head.version)
        let target = try RequestTarget(head.uri)
        route = try router.route(head.method, path: target.path)
        if !route.isForEveryHost {
            guard node.hosts.permits(authority) else { throw HostPolicy.refusal }
            guard node.origins.verdict(head.headers, host: authority) != .refused else { throw OriginPolicy.refusal }
        }
        query = try Query(target.query, fieldsMax: node.settings.topicsMax + Query.fieldsMax)
        let client = peer.map { node.proxies.client(peer: $0, headers: head.headers) }
        address = client.flatMap { node.proxies.isTrusted($0) ? nil : $0 }
        permission = try Visit.permission(route, head, query, authority, node)
        method = head.method
    }

    private static func permission(
        _ route: Route, _ head: HTTPRequestHead, _ query: Query, _ authority: Authority?, _ node: Node
    ) throws(HTTPProblem) -> Permission {
        guard let tokens = node.tokens, route.needsGrant, head.method != .OPTIONS else {
            return .open(node.anonymous)
        }
        let credentials = try Credentials.find(
            headers: head.headers, query: query, cookieName: node.settings.jwtCookie)
        guard let credentials else {
            if route.isStream { return .open(node.anonymous) }
            throw .tokenNeeded
        }
        if credentials.source == .cookie, !node.origins.permitsCookie(head.headers, host: authority) {
            throw OriginPolicy.refusal
        }
        return tokens.remembered(credentials.token).map { .verified($0) } ?? .unchecked(token: credentials.token)
    }

    /// Its answer is read by an `EventSource`.
    package var opensStream: Bool { route.isStream && method == .GET }

    /// Whether there is any body with which this grant could carry the request out: no other is read.
    package func admitted(_ grant: Grant) -> Result<Grant, HTTPProblem> {
        guard route.publishes, method != .OPTIONS, !grant.isAdmin, grant.publish.isEmpty else { return .success(grant) }
        return .failure(refused("the token does not publish"))
    }

    /// Without a token it is for the client to bring one; with one there is nothing that it could do.
    package func refused(_ message: String) -> HTTPProblem {
        if case .open = permission { .tokenNeeded } else { .forbidden(message) }
    }

    /// What the answer, also an error, tells the page that asked.
    package static func corsHeaders(head: HTTPRequestHead, node: Node) -> [(String, String)] {
        let authority = try? Authority.of(uri: head.uri, headers: head.headers, version: head.version)
        return node.origins.headers(for: node.origins.verdict(head.headers, host: authority))
    }
}
