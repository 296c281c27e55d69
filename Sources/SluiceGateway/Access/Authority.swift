// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1

/// `host[:port]` of a request, or of an origin: lower case, without a dot at its end.
package struct Authority: Hashable, Sendable {
    /// Why it can't be said whom a request is for.
    package enum Refusal: Error, Equatable {
        case hostRepeated(Int)
        case hostMissing
        case hostMalformed
        case targetMalformed
        /// The target and the header name different hosts: a proxy in front may have gone by the one that this node ignores.
        case contradiction
    }

    /// A name or an address; one of IPv6 in brackets.
    package let host: String
    package let port: Int?

    /// A name of 253 bytes, the dot at its end, and a port.
    private static let bytesMax = 260

    /// - Returns: nil if it is empty or has anything else than a name of letters, digits, hyphens, underscores and dots
    ///   or an address, and a port.
    package init?(_ text: some StringProtocol) {
        guard text.utf8.count <= Authority.bytesMax else { return nil }
        // Outside of ASCII there are characters whose lower case is inside: K, the sign for kelvin.
        var name = ArraySlice(text.utf8.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 })
        guard name.allSatisfy({ $0 < 0x80 }) else { return nil }
        var port: Int?
        if let colon = name.lastIndex(of: UInt8(ascii: ":")), name.last != UInt8(ascii: "]") {
            let digits = name[(colon + 1)...]
            guard digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
            if !digits.isEmpty {
                guard let number = Int(String(decoding: digits, as: UTF8.self)), number <= 65535 else { return nil }
                port = number
            }
            name = name[..<colon]
        }
        self.port = port
        if name.first == UInt8(ascii: "["), name.last == UInt8(ascii: "]") {
            let address = String(decoding: name.dropFirst().dropLast(), as: UTF8.self)
            guard address.utf8.contains(UInt8(ascii: ":")), let address = NetworkAddress(address) else { return nil }
            host = "[\(address)]"
        } else {
            if name.last == UInt8(ascii: ".") { name.removeLast() }
            guard Authority.isName(name) else { return nil }
            host = String(decoding: name, as: UTF8.self)
        }
    }

    /// A `Host` may hold 253 bytes of name; every label at least one.
    private static func isName(_ name: ArraySlice<UInt8>) -> Bool {
        guard (1...253).contains(name.count) else { return false }
        var isLabelEmpty = true
        for byte in name {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"),
                UInt8(ascii: "_"):
                isLabelEmpty = false
            case UInt8(ascii: ".") where !isLabelEmpty: isLabelEmpty = true
            default: return false
            }
        }
        return !isLabelEmpty
    }

    /// Whom a request is for (RFC 9112 §3.2): the authority of an absolute target, or else the header `Host`, into
    /// which NIO puts HTTP/2's `:authority`. nil where HTTP/1.0 does not say.
    ///
    package static func of(
        uri: String, headers: HTTPHeaders, version: HTTPVersion
    ) throws(Refusal) -> Authority? {
        let given = headers["host"]
        guard given.count <= 1 else { throw .hostRepeated(given.count) }
        guard let text = given.first else {
            if version == .http1_1 { throw .hostMissing }
            return try inTarget(uri)
        }
        guard let host = Authority(text) else { throw .hostMalformed }
        if let target = try inTarget(uri), target != host {
            throw .contradiction
        }
        return host
    }

    private static func inTarget(_ uri: String) throws(Refusal) -> Authority? {
        guard let rest = afterScheme(of: uri) else { return nil }
        let text = rest.utf8.prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
        guard let authority = Authority(Substring(text)) else { throw .targetMalformed }
        return authority
    }

    /// What follows `http://` or `https://`, in any case; nil: it is no absolute form.
    package static func afterScheme(of uri: String) -> Substring? {
        for scheme in ["http://", "https://"] where uri.utf8.count >= scheme.utf8.count {
            let isScheme = zip(uri.utf8, scheme.utf8).allSatisfy { byte, expected in
                byte == expected || (0x41...0x5A).contains(byte) && byte | 0x20 == expected
            }
            if isScheme { return Substring(uri.utf8.dropFirst(scheme.utf8.count)) }
        }
        return nil
    }
}
