// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// Which Redis: a server, whom Sentinels call master, or a cluster.
///
///     redis://[user:password@]host[:port][/db]
///     redis+sentinel://[user:password@]host[:port][,host[:port]…]/MASTER[/db]
///     redis+cluster://[user:password@]host[:port][,host[:port]…]
///
/// `rediss` in place of `redis` is TLS, to Sentinels and servers alike. The login is the servers'.
package struct RedisURL: Equatable, Sendable, CustomStringConvertible {
    package enum Kind: Equatable, Sendable {
        case single
        /// - Parameter master: the name under which the Sentinels watch it.
        case sentinel(master: String)
        case cluster
    }

    package var usesTLS = false
    package var kind = Kind.single
    /// The server, the Sentinels, or some servers of the cluster. At least one; for a single server exactly one.
    package var hosts: [RedisAddress]
    /// Empty for Redis' default user.
    package var user = ""
    package var password: String?
    package var database = 0

    package typealias Malformed = RedisAddress.Malformed

    package init(_ text: String) throws(Malformed) {
        guard let separator = text.firstRange(of: "://") else { throw RedisURL.unknownScheme }
        switch text[..<separator.lowerBound] {
        case "redis": break
        case "rediss": usesTLS = true
        case "redis+sentinel": kind = .sentinel(master: "")
        case "rediss+sentinel": (usesTLS, kind) = (true, .sentinel(master: ""))
        case "redis+cluster": kind = .cluster
        case "rediss+cluster": (usesTLS, kind) = (true, .cluster)
        default: throw RedisURL.unknownScheme
        }
        var rest = text[separator.upperBound...]
        var path: [Substring] = []
        if let slash = rest.firstIndex(of: "/") {
            path = rest[slash...].dropFirst().split(separator: "/", omittingEmptySubsequences: false)
            rest = rest[..<slash]
        }
        if let at = rest.lastIndex(of: "@") {
            (user, password) = try RedisURL.login(rest[..<at])
            rest = rest[rest.index(after: at)...]
        }
        let standardPort = if case .sentinel = kind { 26379 } else { 6379 }
        hosts = []
        let texts = rest.split(separator: ",", omittingEmptySubsequences: false)
        guard kind != .single || texts.count == 1 else {
            throw Malformed(description: "several hosts are for redis+sentinel:// and redis+cluster://")
        }
        for text in texts { hosts.append(try RedisAddress(text, standardPort: standardPort)) }
        try read(path: path)
    }

    private static let unknownScheme = Malformed(
        description:
            "must begin with redis:// or rediss://, or with redis+sentinel:// or redis+cluster:// (rediss+… for TLS)"
    )

    private static func login(_ text: Substring) throws(Malformed) -> (user: String, password: String) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let user = PercentEncoding.decode(parts[0], plusIsSpace: false),
            let password = PercentEncoding.decode(parts[1], plusIsSpace: false)
        else { throw Malformed(description: "a login must be user:password, percent-encoded where needed") }
        return (user, password)
    }

    private mutating func read(path: [Substring]) throws(Malformed) {
        var path = path[...]
        switch kind {
        case .single: break
        case .sentinel:
            // The names that Sentinel itself takes: letters, digits, dots, hyphens, underscores.
            guard let master = path.popFirst(), master.contains(/^[A-Za-z0-9._-]+$/) else {
                throw Malformed(description: "after the Sentinels must stand / and the master's name, as /mymaster")
            }
            kind = .sentinel(master: String(master))
        case .cluster:
            guard path.isEmpty || path == [""] else {
                throw Malformed(description: "a cluster has no databases: nothing may follow the hosts")
            }
        }
        guard let text = path.popFirst(), !text.isEmpty || !path.isEmpty else { return }
        guard path.isEmpty, let number = Int(text), (0...65535).contains(number) else {
            throw Malformed(description: "the database after the slash must be a number")
        }
        database = number
    }

    /// Without the password: fit for a log.
    package var description: String {
        let scheme = usesTLS ? "rediss" : "redis"
        let login = password == nil ? "" : "\(user):***@"
        let hosts = hosts.map(\.description).joined(separator: ",")
        return switch kind {
        case .single: "\(scheme)://\(login)\(hosts)/\(database)"
        case .sentinel(let master): "\(scheme)+sentinel://\(login)\(hosts)/\(master)/\(database)"
        case .cluster: "\(scheme)+cluster://\(login)\(hosts)"
        }
    }
}
