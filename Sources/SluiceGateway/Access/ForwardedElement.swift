// SPDX-License-Identifier: Apache-2.0

/// What one proxy says in `Forwarded` (RFC 7239 §4), as `for="[2001:db8::1]:80";proto=https`.
package struct ForwardedElement: Equatable {
    /// The value of `for`: an address, `unknown` or a made-up `_name`. nil if the proxy does not say.
    package private(set) var source: String?

    /// What no proxy writes is not looked at.
    private static let bytesMax = 1024

    /// - Returns: nil if it is malformed or very long, or says `for` twice.
    package init?(_ text: Substring) {
        guard text.utf8.count <= ForwardedElement.bytesMax else { return nil }
        var rest = text.utf8[...]
        while !rest.isEmpty {
            rest = rest.drop { $0 == 0x20 || $0 == 0x09 || $0 == UInt8(ascii: ";") }
            let name = rest.prefix(while: ForwardedElement.isTokenByte)
            rest = rest.dropFirst(name.count)
            if name.isEmpty, rest.isEmpty { break }
            guard !name.isEmpty, rest.popFirst() == UInt8(ascii: "="),
                let value = ForwardedElement.takeValue(&rest)
            else { return nil }
            rest = rest.drop { $0 == 0x20 || $0 == 0x09 }
            guard rest.isEmpty || rest.first == UInt8(ascii: ";") else { return nil }
            guard name.count == 3, Substring(name).lowercased() == "for" else { continue }
            guard source == nil else { return nil }
            source = value
        }
    }

    /// A token, or a quoted string. An address of IPv6 needs the quotation marks, but some forget them.
    private static func takeValue(_ rest: inout Substring.UTF8View.SubSequence) -> String? {
        if rest.first != UInt8(ascii: "\"") {
            let value = rest.prefix { isTokenByte($0) || $0 == 0x3A || $0 == 0x5B || $0 == 0x5D }
            rest = rest.dropFirst(value.count)
            return value.isEmpty ? nil : String(Substring(value))
        }
        rest.removeFirst()
        var bytes: [UInt8] = []
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "\""): return String(validating: bytes, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard let escaped = rest.popFirst() else { return nil }
                bytes.append(escaped)
            default: bytes.append(byte)
            }
        }
        return nil
    }

    /// RFC 9110 §5.6.2.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}
