// SPDX-License-Identifier: Apache-2.0
import Foundation
import JWTKit

/// Who may come to a ``GuardedNode``, with the token that each brings: made by jwt-kit, not by the code under test.
enum Visitor: CaseIterable, Sendable {
    case anonymous
    /// `alice`, who listens to `news` and `orders.…`.
    case subscriber
    /// `backend`, which publishes to `news` and to the client `alice`.
    case publisher
    case admin
    // What follows claims to be an administrator, so that whoever takes it gives everything away.
    case expired
    case notYetValid
    case wrongAudience
    case wrongIssuer
    case wrongKey
    case algorithmNone
    case garbage

    static let secret = "a secret for visitors that is long enough for HMAC"
    static let audience = "sluice-test"
    static let issuer = "https://issuer.example"

    /// nil: brings none.
    func token() async throws -> String? {
        let now = Date()
        switch self {
        case .anonymous: return nil
        case .subscriber:
            return try await Token(sub: "alice", sluice: .init(subscribe: ["news", "orders.*"])).signed()
        case .publisher:
            return try await Token(sub: "backend", sluice: .init(publish: ["news", "client:alice"])).signed()
        case .admin: return try await Token().signed()
        case .expired: return try await Token(exp: now - 3600).signed()
        case .notYetValid: return try await Token(nbf: now + 3600).signed()
        case .wrongAudience: return try await Token(aud: "somebody-else").signed()
        case .wrongIssuer: return try await Token(iss: "https://issuer.example.evil").signed()
        case .wrongKey:
            return try await Token().signed(by: "another secret that is long enough for HMAC, too")
        case .algorithmNone:
            let keys = JWTKeyCollection()
            await keys.addUnsecuredNone()
            return try await keys.sign(Token())
        case .garbage: return "bm90.YQ.dG9rZW4"
        }
    }
}

/// A token's claims; those of an administrator unless others are given.
struct Token: JWTPayload {
    struct Grants: Codable {
        var subscribe: [String]?
        var publish: [String]?
        var admin: Bool?
    }

    var sub: String? = "root"
    var iss = Visitor.issuer
    var aud = Visitor.audience
    var exp = Date() + 600
    var nbf: Date?
    var sluice = Grants(admin: true)

    /// jwt-kit wants it; the node has its own.
    func verify(using algorithm: some JWTAlgorithm) {}

    func signed(by secret: String = Visitor.secret) async throws -> String {
        let keys = JWTKeyCollection()
        await keys.add(hmac: HMACKey(from: secret), digestAlgorithm: .sha256)
        return try await keys.sign(self)
    }
}
