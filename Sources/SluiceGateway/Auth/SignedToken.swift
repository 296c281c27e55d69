// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// A token in its parts (RFC 7515 §3.1), before anybody has looked at its signature.
///
/// The JSON is read by ``JSONText``, which is strict and bounded: a name that is there twice can't mean one thing here
/// and another elsewhere, and no number can trap, as it does in jwt-kit's header.
package struct SignedToken {
    package static let bytesMax = 8 << 10

    package let algorithm: String
    /// `kid`: the name of the key that it says it is signed with.
    package let keyName: String?
    /// JSON that may hold anything until the signature is checked.
    package let claims: String
    /// What is signed: the first two parts as they stand, so that one signed text has one form.
    package let signedText: [UInt8]
    package let signature: [UInt8]

    package init(_ text: String) throws(TokenRefusal) {
        guard text.utf8.count <= SignedToken.bytesMax else { throw .tooLong }
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, let header = SignedToken.json(parts[0]), let claims = SignedToken.json(parts[1]),
            let signature = Base64URL.decode(Substring(parts[2])), let members = try? JSONText.object(header),
            case .string(let algorithm) = members["alg"]?.value
        else { throw .malformed }
        // Extensions that must be understood (RFC 7515 §4.1.11): none is.
        guard members["crit"] == nil else { throw .notValidHere }
        switch members["kid"]?.value {
        case nil, .null: keyName = nil
        case .string(let name): keyName = name
        default: throw .malformed
        }
        switch members["typ"]?.value {
        case nil, .null: break
        case .string(let type): guard SignedToken.isAccess(type) else { throw .otherPurpose }
        default: throw .malformed
        }
        self.algorithm = algorithm
        self.claims = claims
        self.signature = signature
        signedText = Array(text.utf8[..<parts[1].endIndex])
    }

    /// An issuer signs other things with the same key: logout tokens, security events, proofs. A media type that is not known
    /// is of something else (RFC 8725 §3.11); `application/` may be left out, and case means nothing (RFC 7515 §4.1.9).
    private static func isAccess(_ type: String) -> Bool {
        let type = type.lowercased()
        let name = type.hasPrefix("application/") ? String(type.dropFirst("application/".count)) : type
        return ["jwt", "at+jwt", "jose"].contains(name)
    }

    private static func json(_ part: Substring.UTF8View) -> String? {
        Base64URL.decode(Substring(part)).flatMap { String(validating: $0, as: UTF8.self) }
    }
}
