// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import SluiceCore
import SluiceGateway
import Testing

@testable import sluice

@Suite("sluice token") struct TokenTests {
    @Test("A new key is readable by its owner only, is enough for each HMAC, and is never overwritten")
    func newKey() async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let path = "\(directory)/dev.key"
        try SecretFile.make(path)
        let permissions = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(permissions == 0o600)
        let content = try FileContent.bytes(ofFile: path)
        #expect(try await TokenKey(name: nil, content: content).algorithmNames == ["HS256", "HS384", "HS512"])
        #expect(throws: Failure.self) { try SecretFile.make(path) }
        #expect(try FileContent.bytes(ofFile: path) == content)
        try SecretFile.make("\(directory)/other.key")
        #expect(try FileContent.bytes(ofFile: "\(directory)/other.key") != content)
    }

    @Test("What the options say is what a node reads from the token's claims")
    func claims() throws {
        let command = try Token.parse([
            "--key", "k", "--client", "ann\"q\"", "--subscribe", "news.*",
            "--subscribe", "client:bob", "--publish", "*", "--admin", "--expires", "10m", "--issuer", "i", "--audience",
            "a", "--audience", "b",
        ])
        let claims = try TokenClaims(command.claims(now: 1000))
        #expect(claims.subject == "ann\"q\"")
        #expect(claims.subscribe.map(\.description) == ["news.*", "client:bob"])
        #expect(claims.publish.map(\.description) == ["*"])
        #expect(claims.isAdmin)
        #expect(claims.expiry == 1_600_000)
        #expect(claims.issuer == "i")
        #expect(claims.audiences == ["a", "b"])
    }

    @Test("Without options a token is good for nothing, for an hour")
    func bareClaims() throws {
        let claims = try TokenClaims(try Token.parse(["--key", "k"]).claims(now: 0))
        #expect(claims.subject == nil && claims.subscribe.isEmpty && claims.publish.isEmpty && !claims.isAdmin)
        #expect(claims.expiry == 3_600_000)
    }

    @Test(
        "What makes no sense is refused",
        arguments: [
            [], ["--key", "a", "--new-key", "b"], ["--new-key", "b", "--admin"], ["--key", "a", "--client", "a b"],
            ["--key", "a", "--subscribe", ""], ["--key", "a", "--publish", "a{b"], ["--key", "a", "--expires", "0s"],
        ])
    func refused(arguments: [String]) {
        #expect(throws: (any Error).self) { try Token.parse(arguments) }
    }
}
