// SPDX-License-Identifier: Apache-2.0

/// All addresses that begin with the same bits, as `10.0.0.0/8`, `fd00::/8` or one address alone.
///
/// A range of IPv6 holds no IPv4 address: `::/0` is not everybody, `0.0.0.0/0` and `::/0` together are.
package struct NetworkRange: Hashable, Sendable, CustomStringConvertible {
    private let first: NetworkAddress
    /// Of the 128 bits, how many are the same.
    private let length: Int

    package struct Invalid: Error, CustomStringConvertible {
        package let description: String
    }

    package init(_ text: String) throws(Invalid) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = parts.first.flatMap({ NetworkAddress($0) }) else {
            throw Invalid(description: "takes an address or a range of addresses, as 10.0.0.0/8, fd00::/8 or 192.0.2.1")
        }
        let isDotted = !parts[0].contains(":")
        let bits = isDotted ? 32 : 128
        var length = bits
        if parts.count > 1 {
            guard parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let given = Int(parts[1]), given <= bits
            else { throw Invalid(description: "takes 0 to \(bits) behind the slash") }
            length = given
        }
        self.length = length + 128 - bits
        first = NetworkRange.masked(address, self.length)
        // Most likely a slip, and one that would trust more than was meant.
        guard first == address else {
            throw Invalid(description: "has bits behind the first \(length); write \(first)/\(length)")
        }
    }

    package func contains(_ address: NetworkAddress) -> Bool {
        address.isIPv4 == first.isIPv4 && NetworkRange.masked(address, length) == first
    }

    private static func masked(_ address: NetworkAddress, _ length: Int) -> NetworkAddress {
        // Swift's shifts by the whole width or more give 0.
        NetworkAddress(
            high: address.high & ~(UInt64.max >> min(length, 64)),
            low: address.low & ~(UInt64.max >> max(0, length - 64)))
    }

    package var description: String {
        "\(first)/\(first.isIPv4 ? length - 96 : length)"
    }
}
