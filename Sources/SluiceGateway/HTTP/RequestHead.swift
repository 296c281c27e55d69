// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1
import SluiceCore

/// The first stage of a request, as far as its head tells: what is asked for, by whom, and for whom.
package struct RequestHead: Sendable {
    package enum Permission: Sendable {
        /// No token was sent, or the route needs none.
        case open(Grant)
        /// Of a token that was verified before.
        case verified(Grant)
        /// The token has to be verified first.
        case unchecked(token: String)
    }

    let message: HTTPRequestHead
    let route: Route
    /// What stands behind the route's path, where it has that.
    let name: String
    /// Of routes that look at it.
    let query: Query
    /// A proxy's own where it does not say for whom it asks; nil: a Unix socket's.
    let address: NetworkAddress?
    let permission: Permission

    var method: HTTPMethod { message.method }

    init(
        _ message: HTTPRequestHead, sender: Sender, routes: RouteTable, peer: NetworkAddress?, policy: RequestPolicy
    ) throws(HTTPProblem) {
        let authority: Authority?
        switch sender.authority {
        case .success(let found): authority = found
        case .failure(let refusal): throw HTTPProblem(of: refusal)
        }
        let target = try RequestTarget(message.uri)
        (route, name) = try routes.route(message.method, path: target.path)
        if !route.isForEveryHost {
            guard policy.hosts.permits(authority) else { throw .hostRefused }
            guard policy.origins.verdict(on: sender) != .refused else { throw .originRefused }
        }
        address = peer.map { policy.proxies.client(peer: $0, headers: message.headers) }
        self.message = message
        let access: Route.Access = message.method == .OPTIONS ? .everybody : route.access
        let fieldsMax = policy.topicsMax + Query.fieldsMax
        switch access {
        case .everybody:
            query = Query()
            permission = .open(policy.anonymous)
        case .readers:
            query = try Query(target.query, fieldsMax: fieldsMax)
            permission = try RequestHead.permission(toRead: query, message, sender, policy)
        case .publishers, .administrators:
            permission = try RequestHead.permission(toAct: access, message, sender, policy)
            query = try Query(target.query, fieldsMax: fieldsMax)
        }
    }

    private static func permission(
        toRead query: Query, _ message: HTTPRequestHead, _ sender: Sender, _ policy: RequestPolicy
    ) throws(HTTPProblem) -> Permission {
        guard let tokens = policy.tokens,
            let credentials = try credentials(message, cookieName: policy.cookieName, inURL: query.token)
        else { return .open(policy.anonymous) }
        if credentials.source == .cookie, !policy.origins.permitsReadingByCookie(sender) { throw .originRefused }
        return permission(of: credentials.token, tokens)
    }

    private static func permission(
        toAct access: Route.Access, _ message: HTTPRequestHead, _ sender: Sender, _ policy: RequestPolicy
    ) throws(HTTPProblem) -> Permission {
        let isPost = message.method == .POST
        guard let tokens = policy.tokens else {
            if access == .publishers, !isPost, !policy.origins.permitsPublishingByGet(sender) { throw .originRefused }
            return .open(policy.anonymous)
        }
        guard let credentials = try credentials(message, cookieName: isPost ? policy.cookieName : nil) else {
            throw .headerTokenNeeded
        }
        if credentials.source == .cookie, !policy.origins.permitsPublishingByCookie(sender) { throw .originRefused }
        return permission(of: credentials.token, tokens)
    }

    private static func credentials(
        _ message: HTTPRequestHead, cookieName: String?, inURL: () throws -> String? = { nil }
    ) throws(HTTPProblem) -> Credentials? {
        do {
            return try Credentials.find(headers: message.headers, cookieName: cookieName, inURL: inURL)
        } catch { throw HTTPProblem(of: error) }
    }

    private static func permission(of token: String, _ tokens: TokenVerifier) -> Permission {
        tokens.remembered(token).map { .verified($0) } ?? .unchecked(token: token)
    }

    /// Its answer is read by an `EventSource`.
    var opensStream: Bool { route.access == .readers && method == .GET }

    /// Whether there is any body with which this grant could carry the request out: no other is read.
    func admitted(_ grant: Grant) -> Result<Grant, HTTPProblem> {
        guard route.access == .publishers, method != .OPTIONS, !grant.isAdmin, grant.publish.isEmpty else {
            return .success(grant)
        }
        return .failure(refused("the token does not publish"))
    }

    /// Without a token it is for the client to bring one; with one there is nothing that it could do.
    func refused(_ message: String) -> HTTPProblem {
        if case .open = permission { .tokenNeeded } else { .forbidden(message) }
    }
}
