// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1

/// The token of a request, and where it was.
package struct Credentials: Equatable, Sendable {
    package enum Source: Sendable {
        case header
        /// Of a URL, which ends up in logs and histories: good enough for what an `EventSource` can do.
        case query
        /// A browser sends it by itself, whoever's page asks for it: such a request needs a look at its origin.
        case cookie
    }

    package enum Refusal: Error, Equatable {
        /// It isn't clear which token is meant.
        case headerRepeated(Int)
        /// There are too many cookies to look through.
        case cookiesTooLarge
    }

    /// A browser keeps some hundreds of bytes for a site; no proxy passes on much more than this.
    package static let cookieBytesMax = 8 << 10

    package let token: String
    package let source: Source

    /// Looks for `Authorization: Bearer` (RFC 6750 §2.1), then for `access_token` or `token` in the query, for an
    /// `EventSource` elsewhere, which sends no header of its own, then for the cookie. What a page has chosen comes before
    /// what a browser sends by itself: an old cookie, which no script may see or remove, hides no good token.
    ///
    /// - Parameters:
    ///   - cookieName: nil where a cookie does not count.
    ///   - inURL: reads the URL's token, where one in a URL counts; called only if the header has none.
    /// - Returns: nil: the request has no token.
    /// - Throws: ``Refusal``, or what `inURL` throws.
    package static func find(
        headers: HTTPHeaders, cookieName: String?, inURL: () throws -> String? = { nil }
    ) throws -> Credentials? {
        let authorizations = headers["authorization"]
        guard authorizations.count < 2 else { throw Refusal.headerRepeated(authorizations.count) }
        if let token = authorizations.first.flatMap({ bearer($0) }) {
            return Credentials(token: token, source: .header)
        }
        if let token = try inURL() { return Credentials(token: token, source: .query) }
        if let cookieName, let token = try cookie(cookieName, headers: headers) {
            return Credentials(token: token, source: .cookie)
        }
        return nil
    }

    /// nil: another scheme, as a proxy's Basic, which is none of our business. Schemes have no case (RFC 9110 §11.1).
    private static func bearer(_ value: String) -> String? {
        let scheme = "bearer".utf8
        let bytes = ArraySlice(value.utf8)
        guard bytes.count >= scheme.count, zip(bytes, scheme).allSatisfy({ $0 | 0x20 == $1 }) else { return nil }
        let rest = bytes.dropFirst(scheme.count)
        guard rest.isEmpty || rest.first == UInt8(ascii: " ") else { return nil }
        return String(decoding: trimmed(rest), as: UTF8.self)
    }

    /// The first of that name, which has the longest path (RFC 6265 §5.4); an empty one is what a logout left.
    private static func cookie(_ name: String, headers: HTTPHeaders) throws(Refusal) -> String? {
        let fields = headers["cookie"]
        guard fields.reduce(0, { $0 + $1.utf8.count }) <= cookieBytesMax else {
            throw .cookiesTooLarge
        }
        let name = Array(name.utf8)
        for field in fields {
            // Bytes side by side: by the indices of a string this takes thirty times as long.
            let bytes = Array(field.utf8)
            var start = 0
            for end in 0...bytes.count where end == bytes.count || bytes[end] == UInt8(ascii: ";") {
                if end - start > name.count, let value = value(of: bytes[start..<end], named: name), !value.isEmpty {
                    return String(decoding: value, as: UTF8.self)
                }
                start = end + 1
            }
        }
        return nil
    }

    /// nil: it has another name.
    private static func value(of pair: ArraySlice<UInt8>, named name: [UInt8]) -> ArraySlice<UInt8>? {
        let pair = trimmed(pair)
        guard pair.starts(with: name) else { return nil }
        let rest = pair.dropFirst(name.count).drop(while: isSpace)
        guard rest.first == UInt8(ascii: "=") else { return nil }
        let value = trimmed(rest.dropFirst())
        let quote = UInt8(ascii: "\"")
        return value.count > 1 && value.first == quote && value.last == quote ? value.dropFirst().dropLast() : value
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

    /// Without spaces and tabs around it.
    private static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let bytes = bytes.drop(while: isSpace)
        guard let last = bytes.lastIndex(where: { !isSpace($0) }) else { return bytes }
        return bytes[...last]
    }
}
