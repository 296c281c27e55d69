// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// So many of something a second for each address (of IPv6: each /64), and 16 times as many for each /48.
package struct AddressRate: Sendable {
    private var addresses: KeyedRate<NetworkAddress>
    private var sites: KeyedRate<NetworkAddress>

    /// - Parameter rate: at least 1.
    package init(rate: Int) {
        addresses = KeyedRate(rate: rate)
        sites = KeyedRate(rate: rate * NetworkAddress.siteFactor)
    }

    package mutating func take(_ address: NetworkAddress, count: Int, now: NIODeadline) -> Bool {
        guard addresses.take(address.limitKey, count: count, now: now) == nil else { return false }
        return address.site.map { sites.take($0, count: count, now: now) == nil } ?? true
    }
}
