// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Synchronization

/// Whether a connection of the public listener may stay: how many there are, how many its address has, and how many of
/// them come in a second. All loops ask.
package final class ConnectionAdmission: Sendable {
    package enum Verdict: Sendable {
        /// It holds a place in the quota of its address, until that is released.
        case counted
        /// Nobody counts it: a trusted proxy brings everybody's connections.
        case uncounted
        case refused
    }

    package let proxies: ForwardedFor
    private let connectionsMax: Int
    /// New connections of each address; nil: no limit.
    private let rate: Mutex<AddressRate?>
    private let ratesLoopback: Bool
    /// Connections that are no streams, for each address.
    private let quotas: StreamQuotas
    private let counters: Counters
    private let log: LimitLog

    package init(
        _ settings: Settings, connectionsMax: Int, proxies: ForwardedFor, counters: Counters, log: LimitLog
    ) {
        self.proxies = proxies
        self.connectionsMax = connectionsMax
        let perSecond = settings.connectionRate ?? Settings.standardConnectionRate
        rate = Mutex(perSecond > 0 ? AddressRate(rate: perSecond) : nil)
        ratesLoopback = settings.connectionRate != nil
        quotas = StreamQuotas(perAddress: settings.streamsPerAddressMax, perClient: 0)
        self.counters = counters
        self.log = log
    }

    /// Whether the address of a connection has room for one more, and not too many of its connections come at once. A
    /// handshake of TLS costs half a millisecond.
    package func admit(_ peer: NetworkAddress?, now: NIODeadline) -> Verdict {
        guard let peer, !proxies.isTrusted(peer) else { return .uncounted }
        if ratesLoopback || !peer.isLoopback {
            let isInTime = rate.withLock { $0?.take(peer, count: 1, now: now) ?? true }
            guard isInTime else { return refuse(.connectionRate, peer, now: now) }
        }
        guard quotas.admit(address: peer, client: nil) == nil else {
            return refuse(.streamsPerAddress, peer, now: now)
        }
        return .counted
    }

    /// Takes back what ``admit(_:now:)`` counted.
    package func release(_ peer: NetworkAddress?) {
        quotas.release(address: peer, client: nil)
    }

    /// Whether the node has room for a connection that is counted already.
    package func hasRoom(for peer: NetworkAddress?, now: NIODeadline) -> Bool {
        if counters.connectionsOpen.value <= connectionsMax { return true }
        _ = refuse(.connections, peer, now: now)
        return false
    }

    private func refuse(_ limit: Limit, _ peer: NetworkAddress?, now: NIODeadline) -> Verdict {
        counters.connectionsRefused.add(1)
        log.report(limit, address: peer, now: now)
        return .refused
    }
}
