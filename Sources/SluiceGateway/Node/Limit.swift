// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import SluiceCore
import Synchronization

/// A limit that turns connections or streams away, named as its setting.
package enum Limit: String, Sendable {
    case connections = "--max-connections"
    case openRate = "--open-rate"
    case streams = "--max-streams"
    case streamsPerAddress = "--max-streams-per-address"
    case streamsPerClient = "--max-streams-per-client"
}

extension Node {
    /// Whether there is room for one more stream, of this address and of this client; then it has its place.
    package func admits(
        streamOf address: NetworkAddress?, client: Target?, on shard: Shard, now: NIODeadline
    ) -> Bool {
        if !status.isDraining {
            guard let limit = limitReached(by: address, client: client, on: shard, now: now) else { return true }
            report(limit, address: address)
        }
        counters.streamsShed.add(1)
        return false
    }

    private func limitReached(
        by address: NetworkAddress?, client: Target?, on shard: Shard, now: NIODeadline
    ) -> Limit? {
        if counters.streamsOpen.value >= streamsMax { return .streams }
        // Who has all it may have takes nothing from what all may open in a second.
        switch streamQuotas.admit(address: address, client: client) {
        case nil: break
        case .address?:
            counters.shedByAddress.add(1)
            return .streamsPerAddress
        case .client?:
            counters.shedByClient.add(1)
            return .streamsPerClient
        }
        guard shard.admits(now: now) else {
            streamQuotas.release(address: address, client: client)
            counters.shedByRate.add(1)
            return .openRate
        }
        return nil
    }

    /// Tells that somebody was turned away, once a minute for each limit: how many, the metrics say; the log says by
    /// which setting, and whose address it was. Behind a load balancer that nobody has named, all have the same.
    package func report(_ limit: Limit, address: NetworkAddress?) {
        guard limitComplaints.withLock({ $0.isDue(limit.rawValue, now: .now()) }) else { return }
        var details: Logger.Metadata = ["limit": "\(limit.rawValue)"]
        if let address { details["address"] = "\(address)" }
        if limit == .streamsPerAddress, proxies.isEmpty, !settings.expectsProxyHeader {
            details["hint"] = "if this is a load balancer, name it in --trusted-proxy"
        }
        logger.warning("a limit is reached, and who comes is turned away", metadata: details)
    }
}
