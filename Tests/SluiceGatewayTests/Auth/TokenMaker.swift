// SPDX-License-Identifier: Apache-2.0
import Crypto
import CryptoExtras
import Foundation
import JWTKit
import SluiceCore
import SluiceGateway
import TestSupport

/// Keys of every type, made anew for each run, and tokens that nobody would make.
enum TokenMaker {
    struct Pair: Sendable {
        let privatePEM: String
        let publicPEM: String
    }

    static let secret = "a secret for tests that is long enough for each of the algorithms with HMAC"
    static let p256: Pair = {
        let key = ES256PrivateKey()
        return Pair(privatePEM: key.pemRepresentation, publicPEM: key.publicKey.pemRepresentation)
    }()
    static let p384: Pair = {
        let key = ES384PrivateKey()
        return Pair(privatePEM: key.pemRepresentation, publicPEM: key.publicKey.pemRepresentation)
    }()
    static let p521: Pair = {
        let key = ES512PrivateKey()
        return Pair(privatePEM: key.pemRepresentation, publicPEM: key.publicKey.pemRepresentation)
    }()
    static let ed25519: Pair = {
        let key = EdDSA.PrivateKey(backing: Curve25519.Signing.PrivateKey())
        return Pair(privatePEM: key.pemRepresentation, publicPEM: key.publicKey.pemRepresentation)
    }()
    static let rsa: Result<Pair, any Error> = Result {
        let key = try _RSA.Signing.PrivateKey(keySize: .bits2048)
        return Pair(privatePEM: key.pemRepresentation, publicPEM: key.publicKey.pemRepresentation)
    }

    static func key(_ content: String, named name: String? = nil) async throws -> TokenKey {
        try await TokenKey(name: name, content: Array(content.utf8))
    }

    static func token(
        _ content: String, claims: String = "{}", algorithm: String? = nil, kid: String? = nil
    ) async throws -> String {
        try await key(content, named: kid).token(claims: claims, algorithm: algorithm)
    }

    /// With any header, and HMAC over any key.
    static func forged(header: String, claims: String = "{}", secret: [UInt8]) -> String {
        let text = Base64URL.encode(header.utf8) + "." + Base64URL.encode(claims.utf8)
        let signature = HMAC<SHA256>.authenticationCode(for: Data(text.utf8), using: SymmetricKey(data: secret))
        return text + "." + Base64URL.encode(signature)
    }

    /// A public P-256 key as JSON.
    static func jwk(_ key: ES256PrivateKey, kid: String?, extra: String = "") -> String {
        func url(_ base64: String?) -> String {
            (base64 ?? "").replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
        }
        let name = kid.map { "\"kid\":\(JSONText.quoted($0))," } ?? ""
        return "{\"kty\":\"EC\",\"crv\":\"P-256\",\(name)\(extra)"
            + "\"x\":\"\(url(key.parameters?.x))\",\"y\":\"\(url(key.parameters?.y))\"}"
    }

    static func set(_ keys: [String]) -> String {
        "{\"keys\":[\(keys.joined(separator: ","))]}"
    }
}
