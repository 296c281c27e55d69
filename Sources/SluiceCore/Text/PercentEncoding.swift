// SPDX-License-Identifier: Apache-2.0

/// Percent-encoding of URLs (RFC 3986 §2.1) and of forms (`+` is a space).
package enum PercentEncoding {
    /// Gives out the bytes that an encoded text stands for, without allocating.
    package struct Decoder: IteratorProtocol {
        private var rest: ArraySlice<UInt8>
        private let plusIsSpace: Bool
        /// It ended at a `%` that is not followed by two hexadecimal digits.
        package private(set) var isBroken = false

        package init(_ encoded: ArraySlice<UInt8>, plusIsSpace: Bool) {
            rest = encoded
            self.plusIsSpace = plusIsSpace
        }

        package mutating func next() -> UInt8? {
            switch rest.popFirst() {
            case UInt8(ascii: "%"):
                guard let high = rest.popFirst().flatMap(hexDigit), let low = rest.popFirst().flatMap(hexDigit) else {
                    isBroken = true
                    rest = []
                    return nil
                }
                return high << 4 | low
            case UInt8(ascii: "+") where plusIsSpace: return UInt8(ascii: " ")
            case let byte: return byte
            }
        }
    }

    /// nil if a `%` is not followed by two hexadecimal digits, or if the result is not UTF-8.
    package static func decode(_ encoded: ArraySlice<UInt8>, plusIsSpace: Bool) -> String? {
        let decoded = encoded.withUnsafeBytes { bytes(of: $0, plusIsSpace: plusIsSpace) }
        return decoded.flatMap { String(validating: $0, as: UTF8.self) }
    }

    package static func decode(_ text: some StringProtocol, plusIsSpace: Bool) -> String? {
        decode(Array(text.utf8)[...], plusIsSpace: plusIsSpace)
    }

    /// A message may have a megabyte: this one is written for speed.
    private static func bytes(of encoded: UnsafeRawBufferPointer, plusIsSpace: Bool) -> [UInt8]? {
        var decoded: [UInt8] = []
        decoded.reserveCapacity(encoded.count)
        var index = 0
        while index < encoded.count {
            switch encoded[index] {
            case UInt8(ascii: "%"):
                guard index + 2 < encoded.count, let high = hexDigit(encoded[index + 1]),
                    let low = hexDigit(encoded[index + 2])
                else { return nil }
                decoded.append(high << 4 | low)
                index += 2
            case UInt8(ascii: "+") where plusIsSpace: decoded.append(UInt8(ascii: " "))
            case let byte: decoded.append(byte)
            }
            index += 1
        }
        return decoded
    }

    /// Encodes all but the unreserved characters.
    package static func encode(_ text: some StringProtocol) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let hex = String(byte, radix: 16, uppercase: true)
                result += hex.utf8.count == 1 ? "%0\(hex)" : "%\(hex)"
            }
        }
        return result
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
