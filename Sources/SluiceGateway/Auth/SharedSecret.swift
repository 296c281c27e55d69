// SPDX-License-Identifier: Apache-2.0
import Crypto
import SluiceCore

/// A secret for HMAC as a file holds it: one line of text, as `sluice token --new-key` or `openssl rand -base64 48` write.
///
/// Anybody may have a public key, so one that was taken for a secret would let anybody sign tokens. There are more forms of
/// public keys than can be listed, so the rule is about secrets: text of 32 to 256 characters in one line, which is not
/// itself a key in disguise (DER as base64 or hex, a JSON Web Key, a line of OpenSSH). Raw bytes are refused as well,
/// because DER, PKCS #12 and UTF-16 are raw bytes; they go into a key set (`--jwks FILE`) as `{"kty":"oct","k":"…"}`,
/// where it is said that they are a secret.
package struct SharedSecret: Equatable, Sendable {
    package let bytes: [UInt8]

    private static let bytesMin = 32
    /// An RSA modulus is longer, in base64 and in hex.
    private static let bytesMax = 256
    /// Fewer different characters are no random text: 32 random hexadecimal digits have 14 on average.
    private static let differentMin = 8

    /// - Parameter content: of a file; one newline at its end is no part of the secret.
    package init(content: [UInt8]) throws(UnusableKey) {
        if let problem = SharedSecret.foreignBytes(content) { throw UnusableKey(description: problem) }
        var line = content[...]
        if line.last == UInt8(ascii: "\n") { line.removeLast() }
        if line.last == UInt8(ascii: "\r"), line.count < content.count { line.removeLast() }
        if let problem = SharedSecret.problem(line) { throw UnusableKey(description: problem) }
        bytes = Array(line)
    }

    private static let advice =
        "a secret is one line of text, as sluice token --new-key writes it (raw bytes: --jwks, as a key of type oct)"

    /// What is no plain text.
    private static func foreignBytes(_ content: [UInt8]) -> String? {
        if content.starts(with: [0xFF, 0xFE]) || content.starts(with: [0xFE, 0xFF]) {
            return "is text in UTF-16; save it in UTF-8 without a byte order mark (iconv -f UTF-16 -t UTF-8)"
        }
        if content.starts(with: [0xEF, 0xBB, 0xBF]) { return "begins with a byte order mark; save it without one" }
        // First: text may begin with a 0, which is DER's mark, and a character that is its length.
        let isText = content.allSatisfy { (0x20..<0x7F).contains($0) || $0 == 0x0A || $0 == 0x0D }
        if isText { return nil }
        if isDER(content) {
            return "is a key or certificate in DER; PEM is needed (openssl pkey -inform DER -pubin -in FILE -pubout)"
        }
        return "has bytes that are no ASCII text; \(advice)"
    }

    private static func problem(_ line: ArraySlice<UInt8>) -> String? {
        let text = String(decoding: line, as: UTF8.self)
        guard !line.contains(where: { $0 < 0x20 }) else {
            return "has more than one line and is no PEM; \(advice)"
        }
        guard line.count >= bytesMin else {
            return "has a secret of \(line.count) bytes; at least \(bytesMin) are needed"
        }
        if let problem = disguise(text) { return problem }
        guard line.count <= bytesMax else {
            return "has \(line.count) bytes in one line, as a public key may have; a secret has \(bytesMax) at most"
        }
        guard Set(line).count >= differentMin else {
            return "has a secret of \(Set(line).count) different characters, which is easily guessed"
        }
        return nil
    }

    // MARK: Keys in disguise

    private static func disguise(_ text: String) -> String? {
        if text.hasPrefix("{") || text.hasPrefix("[") {
            return "is JSON; a JSON Web Key Set is for --jwks"
        }
        // {" in base64.
        if text.hasPrefix("eyJ") { return "is a token, or JSON as base64, and no key" }
        if text.hasPrefix("<") { return "is XML; a key in PEM is needed" }
        if text.contains("BEGIN ") || text.contains("PUBLIC KEY") {
            return "has a broken PEM key: the lines -----BEGIN … and -----END … must stand by themselves"
        }
        if text.contains("://") { return "is an address; that of a JSON Web Key Set is for --jwks" }
        for word in text.split(separator: " ") {
            if word.hasPrefix("ssh-") || word.hasPrefix("ecdsa-sha2-") || word.hasPrefix("sk-") && word.contains("@") {
                return "is a public key of OpenSSH; PEM is needed (ssh-keygen -e -m PKCS8 -f FILE)"
            }
            for bytes in [base64(word), hex(word)].compactMap({ $0 }) {
                if let kind = kind(bytes) { return "is \(kind), encoded; PEM is needed" }
            }
        }
        return nil
    }

    /// What these bytes are if they are a key; nil: they may be a secret.
    private static func kind(_ bytes: [UInt8]) -> String? {
        if isDER(bytes) { return "a key or certificate in DER" }
        // SSH's first field: the length of the algorithm's name, and the name.
        if bytes.starts(with: [0, 0, 0]), bytes.count > 8, bytes[4..<8].allSatisfy({ (0x21..<0x7F).contains($0) }) {
            return "a public key of OpenSSH"
        }
        if bytes.starts(with: "-----BEGIN ".utf8) { return "a key in PEM" }
        if bytes.starts(with: "{\"".utf8) { return "JSON" }
        return isPoint(bytes) ? "a public EC key" : nil
    }

    /// Uncompressed, on one of the curves that tokens are signed with; random bytes are on none.
    private static func isPoint(_ bytes: [UInt8]) -> Bool {
        switch bytes.count {
        case 65: (try? P256.Signing.PublicKey(x963Representation: bytes)) != nil
        case 97: (try? P384.Signing.PublicKey(x963Representation: bytes)) != nil
        case 133: (try? P521.Signing.PublicKey(x963Representation: bytes)) != nil
        default: false
        }
    }

    /// A SEQUENCE, which every key and certificate is, whose length is that of the rest (X.690 §8.1.3).
    private static func isDER(_ bytes: [UInt8]) -> Bool {
        guard bytes.count > 2, bytes[0] == 0x30 else { return false }
        // A newline may have been added behind it.
        func fits(_ length: Int, _ header: Int) -> Bool { (0...2).contains(bytes.count - header - length) }
        if bytes[1] < 0x80 { return fits(Int(bytes[1]), 2) }
        let octets = Int(bytes[1] & 0x7F)
        guard (1...3).contains(octets), bytes.count > 2 + octets else { return false }
        return fits(bytes[2..<2 + octets].reduce(0) { $0 << 8 | Int($1) }, 2 + octets)
    }

    /// base64 or base64url, with or without padding.
    private static func base64(_ word: Substring) -> [UInt8]? {
        var text: [UInt8] = word.utf8.map {
            switch $0 {
            case UInt8(ascii: "+"): UInt8(ascii: "-")
            case UInt8(ascii: "/"): UInt8(ascii: "_")
            default: $0
            }
        }
        while text.last == UInt8(ascii: "=") { text.removeLast() }
        return Base64URL.decode(String(decoding: text, as: UTF8.self))
    }

    private static func hex(_ word: Substring) -> [UInt8]? {
        let digits = word.utf8.filter { $0 != UInt8(ascii: ":") }
        guard digits.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        for start in stride(from: 0, to: digits.count, by: 2) {
            let pair = String(decoding: digits[start..<start + 2], as: UTF8.self)
            guard pair.first != "+", let byte = UInt8(pair, radix: 16) else { return nil }
            bytes.append(byte)
        }
        return bytes
    }
}
