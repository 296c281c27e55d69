// SPDX-License-Identifier: Apache-2.0

/// Which web pages may use this node, and with whose cookies: CORS by an allow-list.
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

    /// - Parameters:
    ///   - origins: what `--origin` names.
    ///   - isOpen: without a list, whether all pages may (open mode) or those of the node's own origin alone.
    package init(origins: [OriginPattern], isOpen: Bool) {
        hasAny = origins.isEmpty ? isOpen : origins.contains(.any)
        self.origins = origins.filter { $0 != .any }
    }

    package func verdict(on sender: Sender) -> Verdict {
        if welcomesAll { return .any }
        guard let text = sender.originText else {
            return hasAny ? .any : sender.isForeignSubresource ? .refused : .none
        }
        if let origin = sender.origin, names(origin) { return .allowed(text) }
        if hasAny { return .any }
        return sender.isOfOwnPage ? .sameOrigin : .refused
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

    /// Whether a stream may be opened with a token that came as a cookie. The browser adds cookies to requests that any page
    /// makes, so it may not if the request names a page that is not known to be one of ours: of the same origin, or of the
    /// list; `*` is not enough. One that names no page is of the same origin, over plain http, or of no page at all; another
    /// page could not read what comes.
    package func permitsReadingByCookie(_ sender: Sender) -> Bool {
        switch sender.site {
        case .sameOrigin, .byUser: true
        case nil where sender.originText == nil: true
        case nil, .foreign: isKnown(sender)
        }
    }

    /// Whether something may be published with a token that came as a cookie, with POST: only for a page that is named in
    /// `Origin`, as every browser does, and known.
    package func permitsPublishingByCookie(_ sender: Sender) -> Bool {
        isKnown(sender)
    }

    /// Whether a GET may publish although it shows no token, in open mode. Any page, mail or chat program can make a browser
    /// send one, and over plain http it says nothing about where it comes from. So with a list it may not, unless what it
    /// says is that it comes from a page that may.
    package func permitsPublishingByGet(_ sender: Sender) -> Bool {
        hasAny || isKnown(sender) || sender.site == .sameOrigin && sender.originText == nil
    }

    private func isKnown(_ sender: Sender) -> Bool {
        sender.origin.map(names) == true || sender.isOfOwnPage
    }

    private var welcomesAll: Bool { hasAny && origins.isEmpty }

    private func names(_ origin: Origin) -> Bool {
        origins.contains { $0.names(origin) }
    }
}
