// SPDX-License-Identifier: Apache-2.0

/// Origins of an allow-list: `https://a.example`, `https://a.example:8443`, `https://*.example.com` (every name below
/// `example.com`, but not itself) or `*`.
package enum OriginPattern: Hashable, Sendable {
    /// Every page, but none of them with cookies.
    case any
    case origin(scheme: String, host: HostPattern)

    /// - Returns: nil if it is none of these.
    package init?(_ text: String) {
        if text == "*" {
            self = .any
        } else if let (scheme, rest) = Origin.split(text), let host = HostPattern(rest) {
            self = .origin(scheme: scheme, host: host)
        } else {
            return nil
        }
    }

    /// Whether it names the origin; ``any`` names none.
    package func names(_ origin: Origin) -> Bool {
        guard case .origin(let scheme, let host) = self else { return false }
        return scheme == origin.scheme && host.matchesName(of: origin.authority)
            && (host.port ?? Origin.standardPort(of: scheme)) == origin.port
    }
}
