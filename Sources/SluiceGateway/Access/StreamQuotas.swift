// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import Synchronization

/// How many streams an address and a client have open on this node; all loops ask.
package final class StreamQuotas: Sendable {
    package enum Refusal: Sendable {
        case address
        case client
    }

    fileprivate struct Held {
        /// nil: no limit.
        var addresses: Quota<NetworkAddress>?
        /// Of IPv6: who has a /48 has 65,536 of what one subscriber has.
        var sites: Quota<NetworkAddress>?
        var clients: Quota<Target>?
    }

    /// What is meant where nothing is set: enough for an office behind one address, far from all that a node can hold.
    package static let standardPerAddress = 1000

    private let held: Mutex<Held>
    private let countsLoopback: Bool

    /// - Parameters:
    ///   - perAddress: nil: ``standardPerAddress``, but no limit for loopback addresses, from where a load balancer or a
    ///     load test on the same machine comes; 0: no limit.
    ///   - perClient: 0: no limit.
    package init(perAddress: Int?, perClient: Int) {
        let perAddressLimit = perAddress ?? StreamQuotas.standardPerAddress
        countsLoopback = perAddress != nil
        held = Mutex(
            Held(
                addresses: perAddressLimit > 0 ? Quota(limit: perAddressLimit) : nil,
                sites: perAddressLimit > 0 ? Quota(limit: perAddressLimit * NetworkAddress.siteFactor) : nil,
                clients: perClient > 0 ? Quota(limit: perClient) : nil))
    }

    /// Counts one more stream, if both may have it; else nothing is counted.
    ///
    /// - Parameters:
    ///   - address: nil: not known, as for a Unix socket; not limited.
    ///   - client: nil: the stream has topics only.
    package func admit(address: NetworkAddress?, client: Target?) -> Refusal? {
        let address = counted(address)
        return held.withLock { held in
            guard held.takeAddress(address) else { return .address }
            if let client, held.clients?.take(client) == false {
                held.giveAddress(address)
                return .client
            }
            return nil
        }
    }

    /// Takes back what ``admit(address:client:)`` counted for the same two.
    package func release(address: NetworkAddress?, client: Target?) {
        let address = counted(address)
        held.withLock { held in
            held.giveAddress(address)
            if let client { held.clients?.give(client) }
        }
    }

    private func counted(_ address: NetworkAddress?) -> NetworkAddress? {
        guard let address, countsLoopback || !address.isLoopback else { return nil }
        return address
    }
}

extension StreamQuotas.Held {
    fileprivate mutating func takeAddress(_ address: NetworkAddress?) -> Bool {
        guard let address else { return true }
        if addresses?.take(address.limitKey) == false { return false }
        if let site = address.site, sites?.take(site) == false {
            addresses?.give(address.limitKey)
            return false
        }
        return true
    }

    fileprivate mutating func giveAddress(_ address: NetworkAddress?) {
        guard let address else { return }
        addresses?.give(address.limitKey)
        if let site = address.site { sites?.give(site) }
    }
}
