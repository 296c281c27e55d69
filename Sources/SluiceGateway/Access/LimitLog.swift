// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import Synchronization

/// Tells the log that somebody was turned away, and seldom enough: how many it were, the metrics say.
package final class LimitLog: Sendable {
    private let logger: Logger
    /// All seem to have one address where a load balancer is in front that nobody has named.
    private let suggestsProxy: Bool
    private let limits = Mutex(Complaints(interval: .minutes(1)))
    private let unnamed = Mutex(Complaints(interval: .hours(1)))

    package init(logger: Logger, suggestsProxy: Bool) {
        self.logger = logger
        self.suggestsProxy = suggestsProxy
    }

    /// Once a minute for each limit: by which setting, and whose address it was.
    package func report(_ limit: Limit, address: NetworkAddress?, now: NIODeadline) {
        guard limits.withLock({ $0.isDue(limit.rawValue, now: now) }) else { return }
        var details: Logger.Metadata = ["limit": "\(limit.rawValue)"]
        if let address { details["address"] = "\(address)" }
        if limit == .streamsPerAddress, suggestsProxy {
            details["hint"] = "if this is a load balancer, name it in --trusted-proxy"
        }
        logger.warning("a limit is reached, and who comes is turned away", metadata: details)
    }

    /// The header of a trusted proxy was not there, not readable, or named a trusted address: all whom it serves so share what
    /// one address may have. Said once an hour.
    package func reportUnnamed(_ address: NetworkAddress, now: NIODeadline) {
        guard unnamed.withLock({ $0.isDue("unnamed", now: now) }) else { return }
        logger.warning(
            "a trusted proxy does not say who its client is; such streams count under the address that is known",
            metadata: ["address": "\(address)", "hint": "it must set X-Forwarded-For to its client's address"])
    }
}
