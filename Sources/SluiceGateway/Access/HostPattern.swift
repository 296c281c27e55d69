// SPDX-License-Identifier: Apache-2.0

/// A host of an allow-list: `a.example`, `a.example:8080`, `[::1]`, or `*.example.com`, which is every name below
/// `example.com`, but not itself.
package struct HostPattern: Hashable, Sendable {
    private let host: Authority
    private let isWildcard: Bool

    /// - Returns: nil if it is none of these.
    package init?(_ text: some StringProtocol) {
        isWildcard = text.hasPrefix("*.")
        guard let host = Authority(isWildcard ? Substring(text).dropFirst(2) : Substring(text)) else { return nil }
        // Below an address there is nothing.
        guard !isWildcard || !host.host.hasPrefix("[") else { return nil }
        self.host = host
    }

    /// nil: not given.
    package var port: Int? { host.port }

    /// Whether the names agree; ports are the caller's.
    package func matchesName(of authority: Authority) -> Bool {
        isWildcard ? authority.host.hasSuffix(".\(host.host)") : authority.host == host.host
    }
}
