// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1

/// What a request's head says of whom it is for and of the page that made it: read once, before anything else is.
///
/// A browser that sends `Sec-Fetch-Site` says better than `Host` does whether a request stays on its site, also behind a
/// proxy that changes `Host`; no script can set it. It is believed where it is there. Browsers send it to trustworthy URLs
/// only, so over plain http it is missing. A program that is no browser sends what it likes, but then there is no other's
/// cookie that it could abuse.
package struct Sender: Sendable {
    /// `Sec-Fetch-Site` (W3C Fetch Metadata).
    package enum Site: Sendable {
        case sameOrigin
        /// `none`: typed, a bookmark, or a link in a program that is no browser, as in a mail.
        case byUser
        /// `same-site`, `cross-site`, or what nobody has thought of yet.
        case foreign
    }

    /// Whom the request is for; nil where HTTP/1.0 does not say.
    package let authority: Result<Authority?, Authority.Refusal>
    package let site: Site?
    /// `Origin` as it was given; two of them are nobody's origin.
    package let originText: String?
    /// nil: it gives none, or none that could be a page's.
    package let origin: Origin?
    private let isNavigation: Bool

    package init(_ head: HTTPRequestHead) {
        let headers = head.headers
        do throws(Authority.Refusal) {
            authority = .success(try Authority.of(uri: head.uri, headers: headers, version: head.version))
        } catch {
            authority = .failure(error)
        }
        site =
            switch headers["sec-fetch-site"] {
            case []: nil
            case ["same-origin"]: .sameOrigin
            case ["none"]: .byUser
            default: .foreign
            }
        let origins = headers["origin"]
        originText = origins.count > 1 ? "null" : origins.first
        origin = originText.flatMap { Origin($0) }
        isNavigation = headers["sec-fetch-mode"] == ["navigate"]
    }

    /// An image, a script or the like of a page elsewhere: it can't read the answer, but it would keep a stream open.
    package var isForeignSubresource: Bool { site == .foreign && !isNavigation }

    /// Its page is of this node: by its `Origin`, which must be there.
    package var isOfOwnPage: Bool {
        guard let origin else { return false }
        switch site {
        case .sameOrigin: return true
        case .foreign: return false
        case .byUser, nil: return (try? authority.get()).flatMap { $0 }.map { origin.isHost($0) } ?? false
        }
    }
}
