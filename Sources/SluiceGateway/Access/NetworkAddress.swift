// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOCore

/// An IPv4 or IPv6 address without port and zone. An IPv4 address and its IPv6-mapped form (`::ffff:192.0.2.1`, which
/// a dual-stack socket reports) are the same address.
package struct NetworkAddress: Hashable, Sendable, CustomStringConvertible {
    /// The 16 bytes in network order, the first eight and the last eight.
    package let high: UInt64
    package let low: UInt64

    private static let mappedPrefix: UInt64 = 0xFFFF
    /// The longest text there is: eight groups, or six and a dotted IPv4 address (INET6_ADDRSTRLEN).
    private static let textBytesMax = 45
    /// The same with brackets, a port and a zone, or a made-up name for either.
    private static let nodeBytesMax = 128

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package init(ipv4: UInt32) {
        self.init(high: 0, low: NetworkAddress.mappedPrefix << 32 | UInt64(ipv4))
    }

    /// - Returns: nil for a Unix domain socket.
    package init?(_ address: SocketAddress) {
        guard let text = address.ipAddress else { return nil }
        self.init(text)
    }

    /// `192.0.2.1` or `2001:db8::1`, and nothing else: no brackets, zone or port.
    package init?(_ text: some StringProtocol) {
        guard text.utf8.count <= NetworkAddress.textBytesMax, !text.utf8.contains(0) else { return nil }
        if text.utf8.contains(UInt8(ascii: ":")) {
            var words: (UInt64, UInt64) = (0, 0)
            guard inet_pton(AF_INET6, String(text), &words) == 1 else { return nil }
            self.init(high: UInt64(bigEndian: words.0), low: UInt64(bigEndian: words.1))
        } else {
            var word: UInt32 = 0
            guard inet_pton(AF_INET, String(text), &word) == 1 else { return nil }
            self.init(ipv4: UInt32(bigEndian: word))
        }
    }

    /// As proxies write it (RFC 7239 §6): also `192.0.2.1:80`, `[2001:db8::1]`, `[2001:db8::1]:80`, a zone
    /// (`fe80::1%eth0`), which says nothing outside of its host, and a port that is hidden (`:_x`).
    package init?(node text: some StringProtocol) {
        guard text.utf8.count <= NetworkAddress.nodeBytesMax else { return nil }
        var host = Substring(text)
        var port: Substring?
        if host.hasPrefix("[") {
            guard let bracket = host.firstIndex(of: "]") else { return nil }
            let rest = host[host.index(after: bracket)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { return nil }
            port = rest.isEmpty ? nil : rest.dropFirst()
            host = host[..<bracket].dropFirst()
            guard host.contains(":") else { return nil }
        } else if let colon = host.firstIndex(of: ":"), host[..<colon].contains(".") {
            port = host[host.index(after: colon)...]
            host = host[..<colon]
        }
        if let port, !NetworkAddress.isPort(port) { return nil }
        if let zone = host.firstIndex(of: "%"), host.contains(":") { host = host[..<zone] }
        self.init(host)
    }

    /// 1 to 5 digits, or an underscore and a name.
    private static func isPort(_ text: Substring) -> Bool {
        if text.hasPrefix("_") { return text.count > 1 }
        return (1...5).contains(text.utf8.count) && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
            && Int(text).map { $0 <= 65535 } == true
    }

    package var isIPv4: Bool { high == 0 && low >> 32 == NetworkAddress.mappedPrefix }

    /// `127.0.0.0/8` or `::1`.
    package var isLoopback: Bool {
        isIPv4 ? low >> 24 & 0xFF == 127 : high == 0 && low == 1
    }

    /// The IPv4 address that an address of a tunnel or a translator has in it: 6to4 (RFC 3056), Teredo (RFC 4380 §4) and NAT64
    /// (RFC 6052). With one IPv4 address anybody makes 65,536 networks of 6to4.
    private var embeddedIPv4: UInt32? {
        if high >> 48 == 0x2002 { return UInt32(truncatingIfNeeded: high >> 16) }
        if high >> 32 == 0x2001_0000 { return ~UInt32(truncatingIfNeeded: low) }
        if high == 0x0064_FF9B_0000_0000, low >> 32 == 0 { return UInt32(truncatingIfNeeded: low) }
        return nil
    }

    /// What one subscriber of a provider has: an IPv4 address, or the first 64 bits of an IPv6 one, behind which a
    /// single machine may use as many addresses as it likes.
    package var limitKey: NetworkAddress {
        if isIPv4 { return self }
        return embeddedIPv4.map { NetworkAddress(ipv4: $0) } ?? NetworkAddress(high: high, low: 0)
    }

    /// The first 48 bits of an IPv6 address, which a company or anybody with a tunnel gets; nil for IPv4.
    package var site: NetworkAddress? {
        limitKey.isIPv4 ? nil : NetworkAddress(high: high & ~0xFFFF, low: 0)
    }

    /// A site has so many times what a single subscriber may have.
    package static let siteFactor = 16

    /// Who takes turns with others: a site, or an IPv4 address.
    package var party: NetworkAddress { site ?? limitKey }

    package var description: String {
        if isIPv4 { return "\(low >> 24 & 0xFF).\(low >> 16 & 0xFF).\(low >> 8 & 0xFF).\(low & 0xFF)" }
        var words = (high.bigEndian, low.bigEndian)
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        inet_ntop(AF_INET6, &words, &text, socklen_t(text.count))
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
