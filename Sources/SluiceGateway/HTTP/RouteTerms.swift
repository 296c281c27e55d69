// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1

/// What a request has to meet before its route carries it out.
package struct RouteTerms: Sendable {
    package enum Access: Sendable {
        /// It says the same to everybody.
        case everybody
        /// Whoever opens a stream may be an `EventSource`, which sends no header of its own: a token in the URL counts.
        case readers
        /// Whoever acts shows a token in the header, or as a cookie with the POST of a page that is known. Without a right
        /// to publish, no body is read.
        case publishers
        /// Whoever asks who is there: a GET shows its token as `readers` do, a POST in the header; the route itself looks
        /// whether that has the right.
        case observers
        /// A token counts in the header only, and the route itself looks whether it has the right.
        case administrators
    }

    package let methods: [HTTPMethod]
    let access: Access
    /// A POST has a body that matters.
    let takesBody: Bool
    /// Load balancers ask for it by address, and no page has a use for it.
    let isForEveryHost: Bool
}
