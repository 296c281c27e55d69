// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import SluiceCore
import SluiceRedis

/// What all connections of one node share, made from its settings, and the connections' handlers made with it: each gets
/// the policies that it goes by, and none gets the settings.
package final class Node: Sendable {
    package let settings: Settings
    package let counters: Counters
    package let status: NodeStatus
    package let hub: Confined<Hub>
    package let logger: Logger
    /// nil in open mode.
    package let tokens: TokenVerifier?
    package let policy: RequestPolicy
    package let streams: StreamAdmission
    package let metrics: MetricsPage
    private let connections: ConnectionAdmission
    private let publishing: Publishing

    package init(
        settings: Settings, counters: Counters, status: NodeStatus, hub: Confined<Hub>, streamsMax: Int,
        connectionsMax: Int, retry: RetryPolicy, streamQuotas: StreamQuotas, tokens: TokenVerifier?, logger: Logger
    ) {
        self.settings = settings
        self.counters = counters
        self.status = status
        self.hub = hub
        self.logger = logger
        self.tokens = tokens
        let proxies = ForwardedFor(trusted: settings.trustedProxies)
        let log = LimitLog(logger: logger, suggestsProxy: proxies.isEmpty && !settings.expectsProxyHeader)
        policy = RequestPolicy(
            settings, proxies: proxies, tokens: tokens,
            tokenChecks: tokens.map {
                TokenChecks($0, limits: .init(running: max(1, System.coreCount / 2)), counters: counters)
            })
        streams = StreamAdmission(
            settings, streamsMax: streamsMax, quotas: streamQuotas, proxies: proxies, retry: retry, status: status,
            counters: counters, log: log)
        metrics = MetricsPage(counters: counters, status: status, streamsMax: streamsMax)
        connections = ConnectionAdmission(
            settings, connectionsMax: connectionsMax, proxies: proxies, counters: counters, log: log)
        publishing = Publishing(settings, hub: hub, counters: counters)
    }

    /// What everybody may ask.
    ///
    /// - Parameter admin: where the operator's listener is.
    package func publicRoutes(admin: ListenAddress? = nil) -> RouteTable {
        .public(
            readiness: Readiness(status: status, tokens: tokens), trial: TrialRoute(admin: admin),
            stream: StreamRoute(anonymous: policy.anonymous, topicsMax: policy.topicsMax),
            publish: PublishRoute(publishing: publishing), client: ClientRoute(hub: hub),
            who: WhoRoute(hub: hub, publishing: publishing))
    }

    /// What the node says of itself.
    ///
    /// - Parameters:
    ///   - listen: where its public listener is.
    ///   - started: in milliseconds since 1970.
    package func reporter(listen: String, started: UInt64) -> NodeReporter {
        let readiness = Readiness(status: status, tokens: tokens)
        return NodeReporter(
            node: settings.nodeID, version: NodeVersion.current, started: started, listen: listen, counters: counters,
            status: status, problem: { readiness.problem(now: $0) })
    }

    /// The handlers of connections of the public listener.
    ///
    /// - Parameters:
    ///   - certificate: nil: plaintext.
    ///   - admin: where the operator's listener is; nil: nowhere.
    package func publicPipeline(certificate: TLSFiles? = nil, admin: ListenAddress? = nil) -> ConnectionPipeline {
        pipeline(
            publicRoutes(admin: admin), isPublic: true, certificate: certificate,
            expectsProxyHeader: settings.expectsProxyHeader)
    }

    /// The handlers of connections of the operator's listener.
    package var adminPipeline: ConnectionPipeline {
        pipeline(
            .admin(
                readiness: Readiness(status: status, tokens: tokens), metrics: MetricsRoute(page: metrics),
                nodes: NodesRoute(hub: hub)),
            isPublic: false, certificate: nil, expectsProxyHeader: false)
    }

    private func pipeline(
        _ routes: RouteTable, isPublic: Bool, certificate: TLSFiles?, expectsProxyHeader: Bool
    ) -> ConnectionPipeline {
        ConnectionPipeline(
            isPublic: isPublic, certificate: certificate, expectsProxyHeader: expectsProxyHeader,
            limits: ConnectionLimits(settings), admission: connections,
            requests: RequestRules(
                routes: routes, isPublic: isPublic, limits: RequestLimits(settings), policy: policy, streams: streams,
                status: status,
                headers: ResponseHeaders.common(nodeID: settings.nodeID), counters: counters),
            counters: counters, logger: logger)
    }
}
