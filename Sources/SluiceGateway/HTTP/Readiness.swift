// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1

/// Whether a load balancer should give this node new streams.
package struct Readiness: Sendable {
    let status: NodeStatus
    /// nil in open mode.
    let tokens: TokenVerifier?

    /// `?exclude=redis` is for who has nobody else to ask: nodes share their Redis, so its outage makes none of them better
    /// than the others. (As in Kubernetes' own `/readyz?exclude=etcd`; other names mean nothing, as there.)
    func answer(_ request: AuthorizedRequest) throws(HTTPProblem) -> AuthorizedRequest.Outcome {
        let query = try Query(RequestTarget(request.head.message.uri).query)
        let problem = problem(
            now: request.eventLoop.now, forgivesOutage: try query.all("exclude").contains("redis"))
        return .answer(
            problem.map { Answer(text: "not ready: \($0)\n", status: .serviceUnavailable) } ?? Answer(text: "ready\n"))
    }

    /// nil: it should; else why not.
    func problem(now: NIODeadline, forgivesOutage: Bool = false) -> String? {
        status.problem(now: now, forgivesOutage: forgivesOutage)
            ?? (tokens?.hasNoKey == true ? "the keys of --jwks could not be fetched yet" : nil)
    }
}
