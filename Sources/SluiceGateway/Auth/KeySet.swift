// SPDX-License-Identifier: Apache-2.0
import Crypto
import JWTKit
import SluiceCore

/// A JSON Web Key Set (RFC 7517 §5): the keys of it that can verify tokens.
///
/// What is for something else (`use`, `key_ops`), of an unknown type or broken is passed over, as the RFC asks, so that one
/// odd key doesn't take the others with it.
package struct KeySet {
    package static let bytesMax = 1 << 20
    private static let keysMax = 100

    package struct Malformed: Error, CustomStringConvertible {
        package let description: String
    }

    package let keys: [TokenKey]

    /// - Parameter allowsSecrets: `oct` keys count. A set that everybody can fetch holds no secrets: one that was put there by
    ///   mistake must not make valid what anybody can sign.
    package init(_ text: String, allowsSecrets: Bool) async throws(Malformed) {
        guard text.utf8.count <= KeySet.bytesMax else { throw Malformed(description: "has more than 1 MiB") }
        let members: [ExactText: JSONText.Member]
        do { members = try JSONText.object(text) } catch { throw Malformed(description: "is not JSON: \(error)") }
        guard case .array(let elements) = members["keys"]?.value else {
            throw Malformed(description: "has no list \"keys\"")
        }
        guard elements.count <= KeySet.keysMax else {
            throw Malformed(description: "has \(elements.count) keys; at most \(KeySet.keysMax) are allowed")
        }
        var keys: [TokenKey] = []
        for element in elements {
            guard let fields = try? JSONText.object(String(element.text)) else { continue }
            if let key = await KeySet.key(fields, allowsSecrets: allowsSecrets) { keys.append(key) }
        }
        self.keys = keys
    }

    private static func key(_ fields: [ExactText: JSONText.Member], allowsSecrets: Bool) async -> TokenKey? {
        func text(_ name: String) -> String? {
            if case .string(let text) = fields[ExactText(name)]?.value { text } else { nil }
        }
        if let use = text("use"), use != "sig" { return nil }
        if case .array(let uses) = fields["key_ops"]?.value, !uses.contains(where: { $0.value == .string("verify") }) {
            return nil
        }
        let name = text("kid")
        let algorithm = text("alg")
        switch (text("kty"), text("crv")) {
        case ("RSA", _):
            guard let n = text("n"), let e = text("e"),
                let key = try? Insecure.RSA.PublicKey(modulus: n, exponent: e)
            else { return nil }
            return try? await TokenKey(name: name, rsa: key, size: key, only: algorithm)
        case ("EC", let curve):
            guard let x = text("x"), let y = text("y") else { return nil }
            switch curve {
            case "P-256":
                guard let key = try? ES256PublicKey(parameters: (x, y)) else { return nil }
                return try? await TokenKey(name: name, ecdsa: key, only: algorithm)
            case "P-384":
                guard let key = try? ES384PublicKey(parameters: (x, y)) else { return nil }
                return try? await TokenKey(name: name, ecdsa: key, only: algorithm)
            case "P-521":
                guard let key = try? ES512PublicKey(parameters: (x, y)) else { return nil }
                return try? await TokenKey(name: name, ecdsa: key, only: algorithm)
            default: return nil
            }
        case ("OKP", "Ed25519"):
            guard let x = text("x"), let key = try? EdDSA.PublicKey(x: x, curve: .ed25519) else { return nil }
            return try? await TokenKey(name: name, eddsa: key, only: algorithm)
        case ("oct", _) where allowsSecrets:
            guard let secret = text("k").flatMap({ Base64URL.decode($0) }) else { return nil }
            return try? await TokenKey(name: name, secret: secret, only: algorithm)
        default: return nil
        }
    }
}
