// SPDX-License-Identifier: Apache-2.0

/// Where a server, a Sentinel or a seed of a cluster is.
package struct RedisAddress: Hashable, Sendable, CustomStringConvertible {
    package struct Malformed: Error, CustomStringConvertible {
        package let description: String
    }

    /// A name or an address; an IPv6 address without brackets.
    package var host: String
    package var port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// `host[:port]`, an IPv6 address in brackets.
    init(_ text: Substring, standardPort: Int) throws(Malformed) {
        host = String(text)
        port = standardPort
        let closing = text.lastIndex(of: "]")
        if let colon = text.lastIndex(of: ":"), closing.map({ $0 < colon }) ?? true {
            host = String(text[..<colon])
            guard let number = Int(text[text.index(after: colon)...]), (1...65535).contains(number) else {
                throw Malformed(description: "the port must be a number from 1 to 65535")
            }
            port = number
        }
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
        } else if host.contains(where: { ":[]".contains($0) }) {
            throw Malformed(description: "an IPv6 address must stand in brackets")
        }
        guard !host.isEmpty, !host.contains(where: { $0.isWhitespace || $0 == "?" || $0 == "#" }) else {
            throw Malformed(description: "has no host")
        }
    }

    package var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
