// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1

/// What a ``RequestHandler`` goes by, the same for all requests of one listener.
package final class RequestRules: Sendable {
    let routes: RouteTable
    let limits: RequestLimits
    let policy: RequestPolicy
    let streams: StreamAdmission
    let status: NodeStatus
    /// The header fields that all answers have.
    let headers: [(String, String)]
    let counters: Counters
    private let isPublic: Bool

    /// - Parameter isPublic: false: of the operator's listener.
    init(
        routes: RouteTable, isPublic: Bool, limits: RequestLimits, policy: RequestPolicy, streams: StreamAdmission,
        status: NodeStatus, headers: [(String, String)], counters: Counters
    ) {
        self.routes = routes
        self.isPublic = isPublic
        self.limits = limits
        self.policy = policy
        self.streams = streams
        self.status = status
        self.headers = headers
        self.counters = counters
    }

    /// What an answer tells the page that asked, also if it is an error. The operator's listener lets no page read it but its
    /// own: any page that an operator visits could ask the one on their machine.
    func corsHeaders(for sender: Sender) -> [(String, String)] {
        isPublic ? policy.corsHeaders(for: sender) : []
    }

    /// Finds the route of a request, and reads its head on the route's terms.
    ///
    /// - Parameter peer: the connection's.
    func read(
        _ message: HTTPRequestHead, from sender: Sender, peer: NetworkAddress?
    ) throws(HTTPProblem) -> (route: Route, head: RequestHead) {
        let authority: Authority?
        switch sender.authority {
        case .success(let found): authority = found
        case .failure(let refusal): throw HTTPProblem(of: refusal)
        }
        let target = try RequestTarget(message.uri)
        let (route, name) = try routes.route(message.method, path: target.path)
        if !route.terms.isForEveryHost { try policy.check(authority, sender) }
        let head = try RequestHead(
            message, name: name, query: target.query, terms: route.terms, sender: sender, peer: peer, policy: policy)
        return (route, head)
    }
}
