// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1

/// Which web pages may use this node, and with whose cookies: CORS by an allow-list.
///
/// A browser that sends `Sec-Fetch-Site` says better than `Host` does whether a request stays on its site, also behind a
/// proxy that changes `Host`; no script can set it. It is believed where it is there. A program that is no browser
/// sends what it likes, but then there is no other's cookie that it could abuse.
package struct OriginPolicy: Sendable {
    package enum Verdict: Equatable, Sendable {
        /// It names no page that it comes from: no browser, an address that somebody typed, or a link.
        case none
        case sameOrigin
        /// A page of the list; the answer names the origin as it was given.
        case allowed(String)
        /// Whatever page it may be, without cookies.
        case any
        case refused
    }

    private let origins: [OriginPattern]
    private let hasAny: Bool

    package static let refusal = HTTPProblem(
        status: .forbidden, code: "origin_not_allowed",
        message: "pages of this origin may not use this gateway; --origin names those that may")

    /// - Parameters:
    ///   - origins: what `--origin` names.
    ///   - isOpen: without a list, whether all pages may (open mode) or those of the node's own origin alone.
    package init(origins: [OriginPattern], isOpen: Bool) {
        hasAny = origins.isEmpty ? isOpen : origins.contains(.any)
        self.origins = origins.filter { $0 != .any }
    }

    /// - Parameter host: whom the request is for; nil where HTTP/1.0 does not say.
    package func verdict(_ headers: HTTPHeaders, host: Authority?) -> Verdict {
        if welcomesAll { return .any }
        let sender = Sender(headers)
        guard let text = sender.origin else {
            return hasAny ? .any : sender.isForeignSubresource ? .refused : .none
        }
        if let origin = Origin(text) {
            if names(origin) { return .allowed(text) }
            if hasAny { return .any }
            if sender.isSameOrigin(origin, host: host) { return .sameOrigin }
        }
        return hasAny ? .any : .refused
    }

    /// The CORS fields of an answer, also of an error: a page may only read what they allow.
    package func headers(for verdict: Verdict) -> [(String, String)] {
        let exposed = ("Access-Control-Expose-Headers", "Sluice-Node, Retry-After")
        // A cache must not hand one page what was said to another.
        let vary = welcomesAll ? [] : [("Vary", "Origin")]
        switch verdict {
        case .any: return [("Access-Control-Allow-Origin", "*"), exposed] + vary
        case .allowed(let origin):
            return [("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Credentials", "true"), exposed]
                + vary
        case .none, .sameOrigin, .refused: return vary
        }
    }

    /// Whether a token that came as a cookie counts. The browser adds cookies to requests that any page makes, so it
    /// does not if the page is not known to be one of ours: of the same origin, or of the list; `*` is not enough.
    package func permitsCookie(_ headers: HTTPHeaders, host: Authority?) -> Bool {
        let sender = Sender(headers)
        switch sender.site {
        case .sameOrigin, .byUser: return true
        case nil where sender.origin == nil: return true
        case nil, .foreign: break
        }
        guard let origin = sender.origin.flatMap({ Origin($0) }) else { return false }
        return names(origin) || sender.isSameOrigin(origin, host: host)
    }

    private var welcomesAll: Bool { hasAny && origins.isEmpty }

    private func names(_ origin: Origin) -> Bool {
        origins.contains { $0.names(origin) }
    }
}

/// What a browser says of the page that makes a request.
private struct Sender {
    /// `Sec-Fetch-Site` (W3C Fetch Metadata).
    enum Site {
        case sameOrigin
        /// `none`: typed, or a bookmark.
        case byUser
        /// `same-site`, `cross-site`, or what nobody has thought of yet.
        case foreign
    }

    let site: Site?
    /// As it was given; two of them are nobody's origin.
    let origin: String?
    private let isNavigation: Bool

    init(_ headers: HTTPHeaders) {
        site =
            switch headers["sec-fetch-site"] {
            case []: nil
            case ["same-origin"]: .sameOrigin
            case ["none"]: .byUser
            default: .foreign
            }
        let origins = headers["origin"]
        origin = origins.count > 1 ? "null" : origins.first
        isNavigation = headers["sec-fetch-mode"] == ["navigate"]
    }

    /// An image, a script or the like of a page elsewhere: it can't read the answer, but it would keep a stream open.
    var isForeignSubresource: Bool { site == .foreign && !isNavigation }

    func isSameOrigin(_ origin: Origin, host: Authority?) -> Bool {
        switch site {
        case .sameOrigin: true
        case .foreign: false
        case .byUser, nil: host.map { origin.isHost($0) } ?? false
        }
    }
}
