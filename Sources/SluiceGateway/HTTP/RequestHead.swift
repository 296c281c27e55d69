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
    let terms: RouteTerms
    /// What stands behind the route's path, where it has that.
    let name: String
    /// Of routes that look at it.
    let query: Query
    /// A proxy's own where it does not say for whom it asks; nil: a Unix socket's.
    let address: NetworkAddress?
    let permission: Permission

    var method: HTTPMethod { message.method }

    /// - Parameters:
    ///   - query: of its target, not read yet.
    ///   - terms: of its route.
    ///   - peer: the connection's.
    init(
        _ message: HTTPRequestHead, name: String, query text: Substring, terms: RouteTerms, sender: Sender,
        peer: NetworkAddress?, policy: RequestPolicy
    ) throws(HTTPProblem) {
        self.message = message
        self.name = name
        self.terms = terms
        address = peer.map { policy.proxies.client(peer: $0, headers: message.headers) }
        var access: RouteTerms.Access = message.method == .OPTIONS ? .everybody : terms.access
        // What is only looked at is read as a stream is.
        if access == .observers, message.method != .POST { access = .readers }
        let fieldsMax = policy.topicsMax + Query.fieldsMax
        switch access {
        case .everybody:
            query = Query()
            permission = .open(policy.anonymous)
        case .readers:
            query = try Query(text, fieldsMax: fieldsMax)
            permission = try RequestHead.permission(toRead: query, message, sender, policy)
        case .publishers, .observers, .administrators:
            permission = try RequestHead.permission(toAct: access, message, sender, policy)
            query = try Query(text, fieldsMax: fieldsMax)
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
        toAct access: RouteTerms.Access, _ message: HTTPRequestHead, _ sender: Sender, _ policy: RequestPolicy
    ) throws(HTTPProblem) -> Permission {
        let isPost = message.method == .POST
        guard let tokens = policy.tokens else {
            if access == .publishers, !isPost, !policy.origins.permitsPublishingByGet(sender) { throw .originRefused }
            return .open(policy.anonymous)
        }
        let takesCookie = access == .publishers && isPost
        guard let credentials = try credentials(message, cookieName: takesCookie ? policy.cookieName : nil) else {
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
    var opensStream: Bool { terms.access == .readers && method == .GET }

    /// Refuses a grant that may publish nothing at all, so that no body is read in vain.
    func admitted(_ grant: Grant) -> Result<Grant, HTTPProblem> {
        let needsPublisher = terms.access == .publishers || terms.access == .observers && method == .POST
        guard needsPublisher, method != .OPTIONS, !grant.isAdmin, grant.publish.isEmpty else {
            return .success(grant)
        }
        return .failure(refused("the token does not publish"))
    }

    /// Without a token it is for the client to bring one; with one there is nothing that it could do.
    func refused(_ message: String) -> HTTPProblem {
        if case .open = permission { .tokenNeeded } else { .forbidden(message) }
    }
}
