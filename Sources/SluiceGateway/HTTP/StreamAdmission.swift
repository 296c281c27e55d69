// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// Whether one more stream may be opened: how many there are, how many its address and its client have, and how fast topics
/// and streams are opened. All loops ask.
package final class StreamAdmission: Sendable {
    private let streamsMax: Int
    private let quotas: StreamQuotas
    private let topicRates: TopicRates
    private let proxies: ForwardedFor
    private let retry: RetryPolicy
    private let status: NodeStatus
    private let counters: Counters
    private let log: LimitLog

    package init(
        _ settings: Settings, streamsMax: Int, quotas: StreamQuotas, proxies: ForwardedFor, retry: RetryPolicy,
        status: NodeStatus, counters: Counters, log: LimitLog
    ) {
        self.streamsMax = streamsMax
        self.quotas = quotas
        topicRates = TopicRates(
            perSecond: settings.topicRate, newPerSecond: settings.newTopicRate,
            countsLoopback: settings.streamsPerAddressMax != nil)
        self.proxies = proxies
        self.retry = retry
        self.status = status
        self.counters = counters
        self.log = log
    }

    /// Whether there is room for one more stream, of this address and of this client; then it has its place.
    package func admits(
        _ request: Subscription, from address: NetworkAddress?, on shard: Shard, now: NIODeadline
    ) -> Bool {
        guard !status.isDraining else {
            counters.streamsShed[.draining].add(1)
            return false
        }
        if let address, proxies.isTrusted(address) { log.reportUnnamed(address, now: now) }
        guard let (limit, reason) = limitReached(by: request, from: address, on: shard, now: now) else { return true }
        counters.streamsShed[reason].add(1)
        log.report(limit, address: address, now: now)
        return false
    }

    /// When a client whose stream was not opened is to come back.
    package var retryMilliseconds: Int64 { retry.afterShed(streams: counters.streamsOpen.value) }

    private func limitReached(
        by request: Subscription, from address: NetworkAddress?, on shard: Shard, now: NIODeadline
    ) -> (Limit, ShedReason)? {
        if counters.streamsOpen.value >= streamsMax { return (.streams, .streams) }
        // Check the quotas first: an address or a client over its quota must not use up the shared open rate.
        let client = request.client ?? request.owner
        switch quotas.admit(address: address, client: client) {
        case nil: break
        case .address?: return (.streamsPerAddress, .address)
        case .client?: return (.streamsPerClient, .client)
        }
        let limit = rateReached(by: request, from: address, on: shard, now: now)
        if limit != nil { quotas.release(address: address, client: client) }
        return limit
    }

    private func rateReached(
        by request: Subscription, from address: NetworkAddress?, on shard: Shard, now: NIODeadline
    ) -> (Limit, ShedReason)? {
        let refusal = topicRates.admit(
            address: address, holder: request.holder, topics: request.targets.count,
            new: shard.brokerWork(for: request), now: now)
        if let refusal { return (refusal == .topics ? .topicRate : .newTopicRate, .topics) }
        return shard.admits(now: now) ? nil : (.openRate, .rate)
    }
}
