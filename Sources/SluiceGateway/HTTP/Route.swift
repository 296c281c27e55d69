// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1

/// One thing that can be asked of a node: under which paths, on which terms, and what answers it.
package struct Route: Sendable {
    /// What a path has between the route's own and its ending.
    enum Name {
        case none
        /// It may be percent-encoded.
        case last
        /// The same, before this ending.
        case before(String)
    }

    /// In one spelling each, as they are compared.
    package let paths: [String]
    private let name: Name
    let terms: RouteTerms
    /// What this path may be asked with, on these terms or on others.
    private(set) var allowed: [HTTPMethod] = []
    private let answer: @Sendable (AuthorizedRequest) throws(HTTPProblem) -> AuthorizedRequest.Outcome

    init(
        _ paths: String..., name: Name = .none, methods: [HTTPMethod], for access: RouteTerms.Access,
        takesBody: Bool = false, isForEveryHost: Bool = false,
        answer: @escaping @Sendable (AuthorizedRequest) throws(HTTPProblem) -> AuthorizedRequest.Outcome
    ) {
        self.paths = paths
        self.name = name
        terms = RouteTerms(methods: methods, access: access, takesBody: takesBody, isForEveryHost: isForEveryHost)
        self.answer = answer
    }

    private var ending: String? {
        switch name {
        case .none: nil
        case .last: ""
        case .before(let ending): ending
        }
    }

    /// Every route of a path answers OPTIONS for all of them.
    func among(_ routes: [Route]) -> Route {
        var route = self
        route.allowed = []
        for other in routes where other.paths == paths && other.ending == ending {
            route.allowed += other.terms.methods.filter { !route.allowed.contains($0) }
        }
        route.allowed.append(.OPTIONS)
        return route
    }

    func takes(_ method: HTTPMethod) -> Bool { terms.methods.contains(method) || method == .OPTIONS }

    /// - Returns: the name in the path as it stands there, or nothing where there is none; nil: the path is another's.
    func match(_ path: Substring) -> Substring? {
        guard let ending else { return paths.contains { path == $0 } ? "" : nil }
        guard path.utf8.starts(with: paths[0].utf8) else { return nil }
        let rest = Substring(path.utf8.dropFirst(paths[0].utf8.count))
        guard rest.utf8.count >= ending.utf8.count, rest.utf8.suffix(ending.utf8.count).elementsEqual(ending.utf8)
        else { return nil }
        let name = Substring(rest.utf8.dropLast(ending.utf8.count))
        // A slash in a name is encoded.
        return name.utf8.contains(UInt8(ascii: "/")) ? nil : name
    }

    func carryOut(_ request: AuthorizedRequest) throws(HTTPProblem) -> AuthorizedRequest.Outcome {
        if request.head.method == .OPTIONS {
            return .answer(Preflight.answer(to: request.head.message, methods: allowed))
        }
        return try answer(request)
    }
}
