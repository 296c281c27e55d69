// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
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
