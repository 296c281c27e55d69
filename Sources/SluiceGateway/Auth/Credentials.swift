// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1

/// The token of a request, and where it was.
package struct Credentials: Equatable, Sendable {
    /// A browser sends a cookie by itself, whoever's page asks for it: such a request needs a look at its origin.
    package enum Source: Sendable {
        case header
        case cookie
        case query
    }

    package let token: String
    package let source: Source

    /// Looks for `Authorization: Bearer` (RFC 6750 §2.1), then for the cookie, then for `access_token` or `token` in the
    /// query, for an `EventSource` elsewhere, which can send neither. nil: the request has no token.
    ///
    /// - Throws: 400 if it isn't clear which token is meant.
    package static func find(
        headers: HTTPHeaders, query: Query, cookieName: String
    ) throws(HTTPProblem) -> Credentials? {
        let authorizations = headers["authorization"]
        guard authorizations.count < 2 else {
            throw .badRequest("Authorization is there \(authorizations.count) times")
        }
        if let token = authorizations.first.flatMap({ bearer($0[...]) }) {
            return Credentials(token: token, source: .header)
        }
        if let token = cookie(cookieName, headers: headers) { return Credentials(token: token, source: .cookie) }
        for name: Query.Name in ["access_token", "token"] {
            if let token = try query.one(name) { return Credentials(token: token, source: .query) }
        }
        return nil
    }

    /// nil: another scheme, as a proxy's Basic, which is none of our business. Schemes have no case (RFC 9110 §11.1).
    private static func bearer(_ value: Substring) -> String? {
        let scheme = value.prefix { $0 != " " }
        guard scheme.lowercased() == "bearer" else { return nil }
        return value.dropFirst(scheme.count).trimmed
    }

    /// The first of that name, which has the longest path (RFC 6265 §5.4); an empty one is what a logout left.
    private static func cookie(_ name: String, headers: HTTPHeaders) -> String? {
        for field in headers["cookie"] {
            for pair in field.split(separator: ";") {
                let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                guard parts.count == 2, parts[0].trimmed == name else { continue }
                var value = parts[1].trimmed[...]
                if value.count > 1, value.first == "\"", value.last == "\"" { value = value.dropFirst().dropLast() }
                if !value.isEmpty { return String(value) }
            }
        }
        return nil
    }
}

extension Substring {
    /// Without spaces and tabs around it.
    fileprivate var trimmed: String {
        func isSpace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
        // By bytes, as by characters it takes an eighth of the time in which a connection is opened.
        guard let first = utf8.firstIndex(where: { !isSpace($0) }),
            let last = utf8.lastIndex(where: { !isSpace($0) })
        else { return "" }
        return String(self[first...last])
    }
}
