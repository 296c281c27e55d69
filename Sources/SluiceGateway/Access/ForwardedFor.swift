// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1

/// Finds the client's address behind proxies that are trusted.
///
/// Each proxy adds the address that it was called from at the right end of `X-Forwarded-For`; what lies further left
/// came with the request and may be a lie. So the walk begins with the connection's peer, goes from right to left for as
/// long as the address at hand is a trusted proxy's, and ends at the first that is not. What can't be read ends it, too: then
/// the last address that was known counts, a proxy's. `Forwarded` (RFC 7239) is read only where there is no
/// `X-Forwarded-For`; so a proxy that writes `Forwarded` must remove the other, as it must remove or complete what it writes.
package struct ForwardedFor: Sendable {
    private let trusted: [NetworkRange]

    /// Entries that are looked at: more proxies than anybody has in a row.
    private static let hopsMax = 32

    /// - Parameter trusted: where the proxies are; empty: headers are not believed.
    package init(trusted: [NetworkRange]) {
        self.trusted = trusted
    }

    package func client(peer: NetworkAddress, headers: HTTPHeaders) -> NetworkAddress {
        guard isTrusted(peer) else { return peer }
        let lines = headers["x-forwarded-for"]
        if lines.isEmpty {
            return walk(from: peer, headers["forwarded"]) { element in
                ForwardedElement(element)?.source.flatMap { NetworkAddress(node: $0) }
            }
        }
        return walk(from: peer, lines) { NetworkAddress(node: $0) }
    }

    private func walk(
        from peer: NetworkAddress, _ lines: [String], address: (Substring) -> NetworkAddress?
    ) -> NetworkAddress {
        var known = peer
        var hops = 0
        for line in lines.reversed() {
            var rest = line[...]
            while let element = ForwardedFor.removeLast(of: &rest) {
                guard hops < ForwardedFor.hopsMax else { return known }
                hops += 1
                // RFC 9110 §5.6.1: empty elements of a list mean nothing.
                if element.isEmpty { continue }
                guard let next = address(element) else { return known }
                known = next
                guard isTrusted(next) else { return known }
            }
        }
        return known
    }

    /// No proxy is trusted.
    package var isEmpty: Bool { trusted.isEmpty }

    /// Whether what this address says of others is believed.
    package func isTrusted(_ address: NetworkAddress) -> Bool {
        trusted.contains { $0.contains(address) }
    }

    /// Takes the last element of a list with commas, without the white space around it; nil if nothing is left. From
    /// the right, so that a quotation mark that a client left open swallows nothing that a proxy wrote behind it.
    private static func removeLast(of rest: inout Substring) -> Substring? {
        guard !rest.isEmpty else { return nil }
        let bytes = rest.utf8
        var isQuoted = false
        var index = bytes.endIndex
        while index > bytes.startIndex {
            let next = bytes.index(before: index)
            switch bytes[next] {
            case UInt8(ascii: "\""):
                let backslashes = bytes[..<next].reversed().prefix { $0 == UInt8(ascii: "\\") }.count
                if backslashes.isMultiple(of: 2) { isQuoted.toggle() }
            case UInt8(ascii: ",") where !isQuoted:
                let element = rest[index...]
                rest = rest[..<next]
                return trimmed(element)
            default: break
            }
            index = next
        }
        let element = rest
        rest = ""
        return trimmed(element)
    }

    private static func trimmed(_ text: Substring) -> Substring {
        func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
        let bytes = text.utf8.drop(while: isSpace)
        guard let last = bytes.lastIndex(where: { !isSpace($0) }) else { return "" }
        return Substring(bytes[...last])
    }
}
