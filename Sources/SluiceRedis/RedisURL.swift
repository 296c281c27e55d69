// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// `redis://[user:password@]host[:port][/db]`, or `rediss://` for TLS.
package struct RedisURL: Equatable, Sendable, CustomStringConvertible {
    package var usesTLS = false
    package var host: String
    package var port = 6379
    /// Empty for Redis' default user.
    package var user = ""
    package var password: String?
    package var database = 0

    package struct Malformed: Error, CustomStringConvertible {
        package let description: String
    }

    package init(_ text: String) throws(Malformed) {
        var rest = text[...]
        if rest.hasPrefix("redis://") {
            rest.removeFirst(8)
        } else if rest.hasPrefix("rediss://") {
            rest.removeFirst(9)
            usesTLS = true
        } else {
            throw Malformed(description: "must begin with redis:// or rediss://")
        }
        if let slash = rest.firstIndex(of: "/") {
            let path = rest[slash...].dropFirst()
            rest = rest[..<slash]
            guard path.isEmpty || (0...65535).contains(Int(path) ?? -1) else {
                throw Malformed(description: "the database after the slash must be a number")
            }
            database = Int(path) ?? 0
        }
        if let at = rest.lastIndex(of: "@") {
            let login = rest[..<at]
            rest = rest[rest.index(after: at)...]
            let parts = login.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, let user = PercentEncoding.decode(parts[0], plusIsSpace: false),
                let password = PercentEncoding.decode(parts[1], plusIsSpace: false)
            else { throw Malformed(description: "a login must be user:password, percent-encoded where needed") }
            self.user = user
            self.password = password
        }
        (host, port) = try RedisURL.hostAndPort(rest)
    }

    private static func hostAndPort(_ text: Substring) throws(Malformed) -> (String, Int) {
        var host = text
        var port = 6379
        let closing = text.lastIndex(of: "]")
        if let colon = text.lastIndex(of: ":"), closing.map({ $0 < colon }) ?? true {
            host = text[..<colon]
            guard let number = Int(text[text.index(after: colon)...]), (1...65535).contains(number) else {
                throw Malformed(description: "the port must be a number from 1 to 65535")
            }
            port = number
        }
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(where: { ":[]".contains($0) }) {
            throw Malformed(description: "an IPv6 address must stand in brackets")
        }
        guard !host.isEmpty, !host.contains(where: { $0.isWhitespace || $0 == "?" || $0 == "#" }) else {
            throw Malformed(description: "has no host")
        }
        return (String(host), port)
    }

    /// Without the password: fit for a log.
    package var description: String {
        let login = password == nil ? "" : "\(user):***@"
        let host = host.contains(":") ? "[\(host)]" : host
        return "\(usesTLS ? "rediss" : "redis")://\(login)\(host):\(port)/\(database)"
    }
}
