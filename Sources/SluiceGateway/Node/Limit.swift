// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import SluiceCore
import Synchronization

/// A limit that turns connections or streams away, named as its setting.
package enum Limit: String, Sendable {
    case connections = "--max-connections"
    case connectionRate = "--connection-rate"
    case openRate = "--open-rate"
    case topicRate = "--topic-rate"
    case newTopicRate = "--new-topic-rate"
    case streams = "--max-streams"
    case streamsPerAddress = "--max-streams-per-address"
    case streamsPerClient = "--max-streams-per-client"
}

extension Node {
    /// Whether there is room for one more stream, of this address and of this client; then it has its place.
    package func admits(
        _ request: Subscription, from address: NetworkAddress?, on shard: Shard, now: NIODeadline
    )
        -> Bool
    {
        if !status.isDraining {
            if let address, proxies.isTrusted(address) { reportUnnamed(address, now: now) }
            guard let limit = limitReached(by: request, from: address, on: shard, now: now) else { return true }
            report(limit, address: address, now: now)
        }
        counters.streamsShed.add(1)
        return false
    }

    private func limitReached(
        by request: Subscription, from address: NetworkAddress?, on shard: Shard, now: NIODeadline
    ) -> Limit? {
        if counters.streamsOpen.value >= streamsMax { return .streams }
        // The quotas first: whoever has all it may have must not use up what all may open in a second.
        let client = request.client ?? request.owner
        switch streamQuotas.admit(address: address, client: client) {
        case nil: break
        case .address?:
            counters.shedByAddress.add(1)
            return .streamsPerAddress
        case .client?:
            counters.shedByClient.add(1)
            return .streamsPerClient
        }
        let limit = rateReached(by: request, from: address, on: shard, now: now)
        if limit != nil { streamQuotas.release(address: address, client: client) }
        return limit
    }

    private func rateReached(
        by request: Subscription, from address: NetworkAddress?, on shard: Shard, now: NIODeadline
    ) -> Limit? {
        let refusal = topicRates.admit(
            address: address, holder: request.holder, topics: request.targets.count,
            new: shard.brokerWork(for: request), now: now)
        if let refusal {
            counters.shedByTopics.add(1)
            return refusal == .topics ? .topicRate : .newTopicRate
        }
        guard !shard.admits(now: now) else { return nil }
        counters.shedByRate.add(1)
        return .openRate
    }

    /// Whether one more connection of this address may come now. A handshake of TLS costs half a millisecond.
    package func admitsConnection(from address: NetworkAddress, now: NIODeadline) -> Bool {
        guard countsConnectionsOfLoopback || !address.isLoopback else { return true }
        return connectionRate.withLock { $0?.take(address, count: 1, now: now) ?? true }
    }

    /// The header of a trusted proxy was not there, not readable, or named a trusted address: all whom it serves so share what
    /// one address may have. Said once an hour.
    private func reportUnnamed(_ address: NetworkAddress, now: NIODeadline) {
        guard unnamedComplaints.withLock({ $0.isDue("unnamed", now: now) }) else { return }
        logger.warning(
            "a trusted proxy does not say who its client is; such streams count under the address that is known",
            metadata: ["address": "\(address)", "hint": "it must set X-Forwarded-For to its client's address"])
    }

    /// Tells that somebody was turned away, once a minute for each limit: how many, the metrics say; the log says by
    /// which setting, and whose address it was. Behind a load balancer that nobody has named, all have the same.
    package func report(_ limit: Limit, address: NetworkAddress?, now: NIODeadline) {
        guard limitComplaints.withLock({ $0.isDue(limit.rawValue, now: now) }) else { return }
        var details: Logger.Metadata = ["limit": "\(limit.rawValue)"]
        if let address { details["address"] = "\(address)" }
        if limit == .streamsPerAddress, proxies.isEmpty, !settings.expectsProxyHeader {
            details["hint"] = "if this is a load balancer, name it in --trusted-proxy"
        }
        logger.warning("a limit is reached, and who comes is turned away", metadata: details)
    }
}
