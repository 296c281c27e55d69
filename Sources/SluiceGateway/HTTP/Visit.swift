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
    /// Of routes that look at it.
    package let query: Query
    /// A proxy's own where it does not say for whom it asks; nil: a Unix socket's.
    package let address: NetworkAddress?
    package let permission: Permission
    private let method: HTTPMethod

    package init(
        head: HTTPRequestHead, sender: Sender, router: Router, peer: NetworkAddress?, node: Node
    ) throws(HTTPProblem) {
        let authority: Authority?
        switch sender.authority {
        case .success(let found): authority = found
        case .failure(let refusal): throw HTTPProblem(of: refusal)
        }
        let target = try RequestTarget(head.uri)
        route = try router.route(head.method, path: target.path)
        if !route.isForEveryHost {
            guard node.hosts.permits(authority) else { throw .hostRefused }
            guard node.origins.verdict(on: sender) != .refused else { throw .originRefused }
        }
        address = peer.map { node.proxies.client(peer: $0, headers: head.headers) }
        method = head.method
        guard route.needsGrant, head.method != .OPTIONS else {
            query = Query()
            permission = .open(node.anonymous)
            return
        }
        let fieldsMax = node.settings.topicsMax + Query.fieldsMax
        if route.isStream {
            query = try Query(target.query, fieldsMax: fieldsMax)
            permission = try Visit.permission(toOpenStream: query, head, sender, node)
        } else {
            permission = try Visit.permission(toAct: route, head, sender, node)
            query = try Query(target.query, fieldsMax: fieldsMax)
        }
    }

    /// Who opens a stream may be an `EventSource`, which sends no header of its own.
    private static func permission(
        toOpenStream query: Query, _ head: HTTPRequestHead, _ sender: Sender, _ node: Node
    ) throws(HTTPProblem) -> Permission {
        guard let tokens = node.tokens,
            let credentials = try Visit.credentials(head, cookieName: node.settings.jwtCookie, inURL: query.token)
        else { return .open(node.anonymous) }
        if credentials.source == .cookie, !node.origins.permitsReadingByCookie(sender) { throw .originRefused }
        return permission(of: credentials.token, tokens)
    }

    /// Who publishes or disconnects shows a token in the header, or as a cookie with the POST of a page that is known.
    private static func permission(
        toAct route: Route, _ head: HTTPRequestHead, _ sender: Sender, _ node: Node
    ) throws(HTTPProblem) -> Permission {
        let isPost = head.method == .POST
        guard let tokens = node.tokens else {
            if route.publishes, !isPost, !node.origins.permitsPublishingByGet(sender) { throw .originRefused }
            return .open(node.anonymous)
        }
        let credentials = try Visit.credentials(head, cookieName: isPost ? node.settings.jwtCookie : nil)
        guard let credentials else { throw .headerTokenNeeded }
        if credentials.source == .cookie, !node.origins.permitsPublishingByCookie(sender) { throw .originRefused }
        return permission(of: credentials.token, tokens)
    }

    private static func credentials(
        _ head: HTTPRequestHead, cookieName: String?, inURL: () throws -> String? = { nil }
    ) throws(HTTPProblem) -> Credentials? {
        do {
            return try Credentials.find(headers: head.headers, cookieName: cookieName, inURL: inURL)
        } catch { throw HTTPProblem(of: error) }
    }

    private static func permission(of token: String, _ tokens: TokenVerifier) -> Permission {
        tokens.remembered(token).map { .verified($0) } ?? .unchecked(token: token)
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
}
