// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1

/// One thing that can be asked of a node: under which paths, by which methods and by whom, and what answers it.
package struct Route: Sendable {
    package enum Access: Sendable {
        /// It says the same to everybody.
        case everybody
        /// Whoever opens a stream may be an `EventSource`, which sends no header of its own: a token in the URL counts.
        case readers
        /// Whoever acts shows a token in the header, or as a cookie with the POST of a page that is known. Without a right
        /// to publish, no body is read.
        case publishers
        /// The same, but the right is for the route to look for.
        case administrators
    }

    package enum Outcome {
        case answer(Answer)
        case later(EventLoopFuture<Answer>)
        case stream(Subscription)
    }

    /// In one spelling each, as they are compared.
    package let paths: [String]
    /// The one path stands before a name, which may be percent-encoded.
    let hasName: Bool
    package let methods: [HTTPMethod]
    let access: Access
    /// A POST has a body that matters.
    let takesBody: Bool
    /// Load balancers ask for it by address, and no page has a use for it.
    let isForEveryHost: Bool
    let answer: @Sendable (AuthorizedRequest) throws(HTTPProblem) -> Outcome

    /// - Parameter methods: OPTIONS, which every route answers, is added.
    init(
        _ paths: String..., hasName: Bool = false, methods: [HTTPMethod], for access: Access, takesBody: Bool = false,
        isForEveryHost: Bool = false,
        answer: @escaping @Sendable (AuthorizedRequest) throws(HTTPProblem) -> Outcome
    ) {
        self.paths = paths
        self.hasName = hasName
        self.methods = methods + [.OPTIONS]
        self.access = access
        self.takesBody = takesBody
        self.isForEveryHost = isForEveryHost
        self.answer = answer
    }

    func matches(_ path: Substring) -> Bool {
        hasName ? paths.contains { path.utf8.starts(with: $0.utf8) } : paths.contains { path == $0 }
    }
}
