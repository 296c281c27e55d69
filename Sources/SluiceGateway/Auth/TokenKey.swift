// SPDX-License-Identifier: Apache-2.0
import Crypto
import FoundationEssentials
import JWTKit
import SluiceCore

/// A key that tokens are signed with, and the algorithms that fit its type and size: no other is ever tried with it, so a
/// public key can't be taken for a secret, whatever a token's header says (RFC 8725 §3.1).
package struct TokenKey: Sendable {
    /// `kid`; nil: it may have signed any token.
    package let name: String?
    /// What a token is signed with if nobody asks for something else comes first.
    private let algorithms: [any JWTAlgorithm]
    /// The length of the RSA modulus in bytes, which is that of every signature; 0: another key, whose algorithm says how long.
    private let modulusBytes: Int

    /// - Parameter only: the one algorithm that the key is for; nil: each that fits.
    init(name: String?, algorithms: [any JWTAlgorithm], modulusBytes: Int = 0, only: String? = nil) throws(UnusableKey)
    {
        self.name = name
        self.modulusBytes = modulusBytes
        self.algorithms = only.map { only in algorithms.filter { $0.name == only } } ?? algorithms
        if self.algorithms.isEmpty { throw UnusableKey(description: "has no algorithm that fits it") }
    }

    package var algorithmNames: [String] { algorithms.map(\.name) }

    /// Whether the key has the token's algorithm, and the signature the length that all of that algorithm's have.
    package func fits(_ token: SignedToken) -> Bool {
        guard algorithms.contains(where: { $0.name == token.algorithm }) else { return false }
        return token.signature.count == signatureBytes(token.algorithm)
    }

    private func signatureBytes(_ algorithm: String) -> Int {
        switch algorithm {
        case "HS256": 32
        case "HS384": 48
        case "HS512", "ES256", "EdDSA": 64
        case "ES384": 96
        case "ES512": 132
        default: modulusBytes
        }
    }

    /// False also where the algorithm doesn't fit the key.
    package func signed(_ token: SignedToken) -> Bool {
        guard let algorithm = algorithms.first(where: { $0.name == token.algorithm }) else { return false }
        // A signature of the wrong length throws.
        return (try? algorithm.verify(token.signature, signs: token.signedText)) == true
    }

    /// Makes a token.
    ///
    /// - Parameter claims: a JSON object.
    /// - Throws: ``UnusableKey`` if the algorithm doesn't fit the key, or if only its public half is there.
    package func token(claims: String, algorithm name: String? = nil) throws(UnusableKey) -> String {
        guard let algorithm = algorithms.first(where: { name == nil || $0.name == name }) else {
            throw UnusableKey(description: "signs with \(algorithmNames.joined(separator: ", ")) only")
        }
        var header = "{\"alg\":\(JSONText.quoted(algorithm.name)),\"typ\":\"JWT\""
        if let kid = self.name { header += ",\"kid\":\(JSONText.quoted(kid))" }
        let text = Base64URL.encode((header + "}").utf8) + "." + Base64URL.encode(claims.utf8)
        guard let signature = try? algorithm.sign(Array(text.utf8)) else {
            throw UnusableKey(description: "is a public key; the private one signs")
        }
        return text + "." + Base64URL.encode(signature)
    }

    // MARK: From bytes

    /// Of a file's content: PEM, or else a ``SharedSecret``.
    package init(name: String?, content: [UInt8]) async throws(UnusableKey) {
        let text = String(decoding: content, as: UTF8.self)
        if text.contains("-----BEGIN ") {
            try await self.init(name: name, pem: text)
        } else {
            try await self.init(name: name, secret: try SharedSecret(content: content).bytes)
        }
    }

    /// HMAC: a secret must be as long as the hash (RFC 7518 §3.2), so a longer one has more algorithms.
    package init(name: String?, secret: [UInt8], only: String? = nil) async throws(UnusableKey) {
        guard secret.count >= 32 else {
            throw UnusableKey(description: "has a secret of \(secret.count) bytes; at least 32 are needed")
        }
        var algorithms: [any JWTAlgorithm] = []
        for (bytes, digest) in [(32, DigestAlgorithm.sha256), (48, .sha384), (64, .sha512)] where secret.count >= bytes
        {
            algorithms += await TokenKey.algorithm { $0.add(hmac: HMACKey(from: secret), digestAlgorithm: digest) }
        }
        try self.init(name: name, algorithms: algorithms, only: only)
    }

    /// A public key, a private key or a certificate, whose dates and issuer nobody looks at.
    package init(name: String?, pem text: String) async throws(UnusableKey) {
        let pem = TokenKey.firstBlock(of: text)
        if pem.contains("-----BEGIN CERTIFICATE-----") {
            if let key = try? Insecure.RSA.PublicKey(certificatePEM: pem) {
                try await self.init(name: name, rsa: key, size: key)
            } else if let key = try? ES256PublicKey(certificate: pem) {
                try await self.init(name: name, ecdsa: key)
            } else if let key = try? ES384PublicKey(certificate: pem) {
                try await self.init(name: name, ecdsa: key)
            } else if let key = try? ES512PublicKey(certificate: pem) {
                try await self.init(name: name, ecdsa: key)
            } else {
                throw TokenKey.unknownKind
            }
        } else if let key = try? Insecure.RSA.PublicKey(pem: pem) {
            try await self.init(name: name, rsa: key, size: key)
        } else if let key = try? Insecure.RSA.PrivateKey(pem: pem) {
            try await self.init(name: name, rsa: key, size: key.publicKey)
        } else if let key = try? ES256PublicKey(pem: pem) {
            try await self.init(name: name, ecdsa: key)
        } else if let key = try? ES256PrivateKey(pem: pem) {
            try await self.init(name: name, ecdsa: key)
        } else if let key = try? ES384PublicKey(pem: pem) {
            try await self.init(name: name, ecdsa: key)
        } else if let key = try? ES384PrivateKey(pem: pem) {
            try await self.init(name: name, ecdsa: key)
        } else if let key = try? ES512PublicKey(pem: pem) {
            try await self.init(name: name, ecdsa: key)
        } else if let key = try? ES512PrivateKey(pem: pem) {
            try await self.init(name: name, ecdsa: key)
        } else if let key = try? EdDSA.PublicKey(pem: pem) {
            try await self.init(name: name, eddsa: key)
        } else if let key = try? EdDSA.PrivateKey(pem: pem) {
            try await self.init(name: name, eddsa: key)
        } else {
            throw TokenKey.unknownKind
        }
    }

    /// Without what openssl puts around it: parameters before an EC key, text before a certificate, its issuers after it.
    private static func firstBlock(of text: String) -> String {
        var block: [Substring] = []
        for line in text.split(whereSeparator: \.isNewline) {
            if block.isEmpty, !line.hasPrefix("-----BEGIN ") || line.hasPrefix("-----BEGIN EC PARAMETERS") { continue }
            block.append(line)
            if line.hasPrefix("-----END ") { break }
        }
        return block.joined(separator: "\n") + "\n"
    }

    private static let unknownKind = UnusableKey(
        description: "has no key that is taken: RSA of 2048 bits or more, EC (P-256, P-384, P-521) or Ed25519")

    /// - Parameter size: the public half, which knows how long the signatures are.
    init(
        name: String?, rsa key: some RSAKey, size: JWTKit.Insecure.RSA.PublicKey, only: String? = nil
    ) async throws(UnusableKey) {
        guard let modulus = try? size.getKeyPrimitives().modulus else { throw TokenKey.unknownKind }
        var algorithms: [any JWTAlgorithm] = []
        for digest in [DigestAlgorithm.sha256, .sha384, .sha512] {
            algorithms += await TokenKey.algorithm { $0.add(rsa: key, digestAlgorithm: digest) }
            algorithms += await TokenKey.algorithm { $0.add(pss: key, digestAlgorithm: digest) }
        }
        // A modulus may come with a zero before it, which keeps it from being a negative number.
        let bytes = modulus.drop { $0 == 0 }.count
        try self.init(name: name, algorithms: algorithms, modulusBytes: bytes, only: only)
    }

    init(name: String?, ecdsa key: some ECDSAKey, only: String? = nil) async throws(UnusableKey) {
        try self.init(name: name, algorithms: await TokenKey.algorithm { $0.add(ecdsa: key) }, only: only)
    }

    init(name: String?, eddsa key: some EdDSAKey, only: String? = nil) async throws(UnusableKey) {
        try self.init(name: name, algorithms: await TokenKey.algorithm { $0.add(eddsa: key) }, only: only)
    }

    /// jwt-kit gives out what it signs and verifies with only through a collection.
    private static func algorithm(
        _ add: @Sendable (isolated JWTKeyCollection) -> JWTKeyCollection
    ) async -> [any JWTAlgorithm] {
        let collection = JWTKeyCollection()
        _ = await add(collection)
        return (try? await collection.getKey()).map { [$0] } ?? []
    }
}
