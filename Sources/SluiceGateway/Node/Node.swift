// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import SluiceCore
import Synchronization

/// What every connection's handler needs to know of the node.
package final class Node: Sendable {
    package let settings: Settings
    package let counters: Counters
    package let status: NodeStatus
    package let hub: Confined<Hub>
    package let streamsMax: Int
    package let connectionsMax: Int
    package let retry: RetryPolicy
    package let headers: [(String, String)]
    package let logger: Logger
    /// nil in open mode.
    package let tokens: TokenVerifier?
    package let tokenChecks: TokenChecks?
    /// What a request without a token may do.
    package let anonymous: Grant
    package let origins: OriginPolicy
    package let hosts: HostPolicy
    package let proxies: ForwardedFor
    package let streamQuotas: StreamQuotas
    /// Connections that are no streams, for each address.
    package let connectionQuotas: StreamQuotas
    let topicRates: TopicRates
    /// New connections of each address; nil: no limit.
    let connectionRate: Mutex<AddressRate?>
    let countsConnectionsOfLoopback: Bool
    private let publishRate: Mutex<PublishRate>
    package let publishLimits: PublishRequest.Limits
    /// See ``report(_:address:)``.
    let limitComplaints = Mutex(Complaints(interval: .minutes(1)))
    let unnamedComplaints = Mutex(Complaints(interval: .hours(1)))

    package init(
        settings: Settings, counters: Counters, status: NodeStatus, hub: Confined<Hub>, streamsMax: Int,
        connectionsMax: Int, retry: RetryPolicy, streamQuotas: StreamQuotas, tokens: TokenVerifier?, logger: Logger
    ) {
        self.settings = settings
        self.counters = counters
        self.status = status
        self.hub = hub
        self.streamsMax = streamsMax
        self.connectionsMax = connectionsMax
        self.retry = retry
        self.headers = ResponseHeaders.common(nodeID: settings.nodeID)
        self.logger = logger
        self.tokens = tokens
        tokenChecks = tokens.map {
            TokenChecks($0, limits: .init(running: max(1, System.coreCount / 2)), counters: counters)
        }
        self.streamQuotas = streamQuotas
        anonymous = tokens == nil ? .everything : .anonymous(settings.anonymous)
        origins = OriginPolicy(origins: settings.origins, isOpen: tokens == nil)
        hosts = HostPolicy(hosts: settings.hosts)
        proxies = ForwardedFor(trusted: settings.trustedProxies)
        connectionQuotas = StreamQuotas(perAddress: settings.streamsPerAddressMax, perClient: 0)
        topicRates = TopicRates(
            perSecond: settings.topicRate, newPerSecond: settings.newTopicRate,
            countsLoopback: settings.streamsPerAddressMax != nil)
        let perSecond = settings.connectionRate ?? Settings.standardConnectionRate
        connectionRate = Mutex(perSecond > 0 ? AddressRate(rate: perSecond) : nil)
        countsConnectionsOfLoopback = settings.connectionRate != nil
        publishRate = Mutex(PublishRate(events: settings.publishRate, bytes: settings.publishBytes))
        publishLimits = PublishRequest.Limits(settings)
    }

    /// Why this node should not be given new streams; nil: it is ready.
    package func problem(now: NIODeadline) -> String? {
        status.problem(now: now) ?? (tokens?.hasNoKey == true ? "the keys of --jwks could not be fetched yet" : nil)
    }

    /// Publishes to all of them or, if the broker can't take so much now, to none.
    ///
    /// - Returns: what became of each; never fails.
    package func publish(
        _ publications: [Publication], on eventLoop: any EventLoop
    ) -> EventLoopFuture<[Result<Receipt, PublishFailure>]> {
        let hub = hub
        return hub.eventLoop.flatSubmit { hub.value.publish(publications) }.hop(to: eventLoop)
    }

    /// Takes events and bytes off what a publisher may publish now: the holder of a token or, where there is none, an
    /// address.
    ///
    /// - Throws: 429 with the time to come back.
    package func admit(
        publishing events: Int, bytes: Int, by grant: Grant, from address: NetworkAddress?, now: NIODeadline
    ) throws(HTTPProblem) {
        let id = grant.id.isEmpty ? "address \(address.map { "\($0.limitKey)" } ?? "unknown")" : grant.id
        let wait = publishRate.withLock { $0.take(id, events: events, bytes: bytes, now: now) }
        guard let wait else { return }
        counters.requestsLimited.add(1)
        throw .tooManyRequests(
            "more than \(settings.publishRate) events or \(settings.publishBytes) bytes a second (the node's "
                + "--publish-rate and --publish-bytes)",
            seconds: max(1, Int((wait.nanoseconds + 999_999_999) / 1_000_000_000)))
    }
}
