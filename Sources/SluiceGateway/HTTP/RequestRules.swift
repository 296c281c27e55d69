// SPDX-License-Identifier: Apache-2.0
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

    init(
        routes: RouteTable, limits: RequestLimits, policy: RequestPolicy, streams: StreamAdmission, status: NodeStatus,
        headers: [(String, String)], counters: Counters
    ) {
        self.routes = routes
        self.limits = limits
        self.policy = policy
        self.streams = streams
        self.status = status
        self.headers = headers
        self.counters = counters
    }
}
