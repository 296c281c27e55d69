// SPDX-License-Identifier: Apache-2.0

/// `http://host[:port][/path][?query]`, or `https://`. The path and the query are taken as they are.
package struct WebAddress: Equatable, Sendable, CustomStringConvertible {
    package let usesTLS: Bool
    package let host: String
    package let port: Int
    /// Path and query, as they go into a request; `/` if the address names none.
    package var target: String

    package init?(_ text: String) {
        guard let scheme = ["http://", "https://"].first(where: { text.hasPrefix($0) }) else { return nil }
        usesTLS = scheme == "https://"
        var authority = text.dropFirst(scheme.count)
        authority = authority.prefix { $0 != "#" }
        let start = authority.firstIndex { $0 == "/" || $0 == "?" } ?? authority.endIndex
        let rest = authority[start...]
        authority = authority[..<start]
        guard rest.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        target = rest.hasPrefix("/") ? String(rest) : "/" + rest
        var port = usesTLS ? 443 : 80
        if let colon = authority.lastIndex(of: ":"), !authority[colon...].contains("]") {
            guard let number = Int(authority[authority.index(after: colon)...]), (1...65535).contains(number) else {
                return nil
            }
            port = number
            authority = authority[..<colon]
        }
        if authority.hasPrefix("["), authority.hasSuffix("]") { authority = authority.dropFirst().dropLast() }
        guard !authority.isEmpty, authority.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "@") })
        else { return nil }
        self.port = port
        host = String(authority)
    }

    /// The address names a server only.
    package var hasNoPath: Bool { target == "/" }

    /// The value of the header `Host`.
    package var hostHeader: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (usesTLS ? 443 : 80) ? name : "\(name):\(port)"
    }

    /// The whole of it.
    package var text: String { "\(usesTLS ? "https" : "http")://\(hostHeader)\(target)" }

    /// For messages: without the query, which may hold a token.
    package var description: String { String(text.prefix { $0 != "?" }) }
}
