// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1

/// One thing that can be asked of a node: under which paths, on which terms, and what answers it.
package struct Route: Sendable {
    /// In one spelling each, as they are compared.
    package let paths: [String]
    /// The one path stands before a name, which may be percent-encoded.
    let hasName: Bool
    let terms: RouteTerms
    private let answer: @Sendable (AuthorizedRequest) throws(HTTPProblem) -> AuthorizedRequest.Outcome

    /// - Parameter methods: OPTIONS, which every route answers, is added.
    init(
        _ paths: String..., hasName: Bool = false, methods: [HTTPMethod], for access: RouteTerms.Access,
        takesBody: Bool = false, isForEveryHost: Bool = false,
        answer: @escaping @Sendable (AuthorizedRequest) throws(HTTPProblem) -> AuthorizedRequest.Outcome
    ) {
        self.paths = paths
        self.hasName = hasName
        terms = RouteTerms(
            methods: methods + [.OPTIONS], access: access, takesBody: takesBody, isForEveryHost: isForEveryHost)
        self.answer = answer
    }

    func matches(_ path: Substring) -> Bool {
        hasName ? paths.contains { path.utf8.starts(with: $0.utf8) } : paths.contains { path == $0 }
    }

    func carryOut(_ request: AuthorizedRequest) throws(HTTPProblem) -> AuthorizedRequest.Outcome {
        if request.head.method == .OPTIONS {
            return .answer(Preflight.answer(to: request.head.message, methods: terms.methods))
        }
        return try answer(request)
    }
}
