// SPDX-License-Identifier: Apache-2.0

/// Where a page comes from, as its browser says it: `https://a.example` or `http://a.example:8080` (RFC 6454 §6.2).
package struct Origin: Hashable, Sendable {
    package let scheme: String
    package let authority: Authority

    /// A name has 253 bytes at most; what is longer is not looked at.
    private static let bytesMax = 300

    /// - Returns: nil for `null`, a path or anything else that names no page's host.
    package init?(_ text: some StringProtocol) {
        guard let (scheme, rest) = Origin.split(text), let authority = Authority(rest) else { return nil }
        self.scheme = scheme
        self.authority = authority
    }

    /// The scheme, in lower case, and what follows `://`.
    package static func split(_ text: some StringProtocol) -> (scheme: String, rest: Substring)? {
        let text = Substring(text)
        guard text.utf8.count <= bytesMax else { return nil }
        guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://"),
            text[..<colon].utf8.allSatisfy({ $0 < 0x80 })
        else { return nil }
        let scheme = text[..<colon].lowercased()
        let isScheme = scheme.utf8.enumerated().allSatisfy { index, byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
                index > 0
            default: false
            }
        }
        guard isScheme, !scheme.isEmpty else { return nil }
        return (scheme, text[colon...].dropFirst(3))
    }

    /// nil where the scheme has none.
    package static func standardPort(of scheme: String) -> Int? {
        switch scheme {
        case "http": 80
        case "https": 443
        default: nil
        }
    }

    package var port: Int? { authority.port ?? Origin.standardPort(of: scheme) }

    /// Whether a request to `host` is one to the page's own server, as far as that can be told without its scheme.
    package func isHost(_ host: Authority) -> Bool {
        host.host == authority.host && port == host.port ?? Origin.standardPort(of: scheme)
    }
}
