// SPDX-License-Identifier: Apache-2.0
import Crypto
import CryptoExtras
import Foundation
import JWTKit
import SluiceCore
import SluiceGateway
import TestSupport
import Testing

@Suite("A shared secret")
struct SharedSecretTests {
    private static func problem(_ content: [UInt8]) -> String? {
        do throws(UnusableKey) {
            _ = try SharedSecret(content: content)
            return nil
        } catch { return error.description }
    }

    @Test("is any line of random text, however it was made; one newline is no part of it")
    func taken() throws {
        for seed in 0..<200 {
            var generator = SeededGenerator(seed: UInt64(seed))
            for count in [32, 33, 48, 64, 65, 97, 128] {
                let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
                let texts = [
                    Base64URL.encode(bytes), Data(bytes).base64EncodedString(),
                    bytes.map { String(format: "%02x", $0) }.joined(),
                ]
                for text in texts {
                    #expect(SharedSecretTests.problem(Array(text.utf8)) == nil, "\(text)")
                    for end in ["", "\n", "\r\n"] {
                        #expect(try SharedSecret(content: Array((text + end).utf8)).bytes == Array(text.utf8))
                    }
                }
            }
        }
        let phrase = "correct horse battery staple, and some more words"
        #expect(SharedSecretTests.problem(Array(phrase.utf8)) == nil)
    }

    struct Form: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let says: String
        let content: @Sendable () throws -> [UInt8]

        init(_ name: String, says: String, _ content: @escaping @Sendable () throws -> [UInt8]) {
            testDescription = name
            self.says = says
            self.content = content
        }

        init(_ name: String, says: String, text: @escaping @Sendable () throws -> String) {
            self.init(name, says: says) { Array(try text().utf8) }
        }
    }

    private static func der(_ pem: String) throws -> [UInt8] {
        let lines = pem.split(separator: "\n").filter { !$0.hasPrefix("-----") }
        return Array(try #require(Data(base64Encoded: lines.joined())))
    }

    private static let rsaDER: @Sendable () throws -> [UInt8] = { try der(try TokenMaker.rsa.get().publicPEM) }
    private static let point: @Sendable () throws -> [UInt8] = {
        Array(try P256.Signing.PrivateKey(rawRepresentation: Array(1...32)).publicKey.x963Representation)
    }
    private static let edDER: @Sendable () throws -> [UInt8] = { try der(TokenMaker.ed25519.publicPEM) }
    private static let utf16: @Sendable (String) -> [UInt8] = { text in
        text.utf16.flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] }
    }
    private static let ssh: @Sendable () -> String = {
        Data([0, 0, 0, 11] + Array("ssh-ed25519".utf8) + [0, 0, 0, 32] + [UInt8](7..<39)).base64EncodedString()
    }

    static let forms: [Form] = [
        Form("RSA in DER", says: "DER") { try rsaDER() },
        Form("Ed25519 in DER", says: "DER") { try edDER() },
        Form("EC in DER", says: "DER") { try der(TokenMaker.p256.publicPEM) },
        Form("a private key in DER", says: "DER") { try der(TokenMaker.p384.privatePEM) },
        Form("DER and a newline", says: "DER") { try rsaDER() + [0x0A] },
        Form("DER as base64, as an issuer's page shows it", says: "DER") { Data(try rsaDER()).base64EncodedString() },
        Form("short DER as base64url", says: "DER") { Base64URL.encode(try edDER()) },
        Form("DER as hex", says: "DER") { try edDER().map { String(format: "%02X", $0) }.joined() },
        Form("DER as hex with colons", says: "DER") {
            try edDER().map { String(format: "%02x", $0) }.joined(separator: ":")
        },
        Form("an RSA modulus in base64url", says: "at most") {
            Base64URL.encode([UInt8](repeating: 0xC5, count: 250) + [1, 2, 3, 4, 5, 6])
        },
        Form("a point on P-256 as hex", says: "EC") { try point().map { String(format: "%02x", $0) }.joined() },
        Form("a point on P-256 as base64", says: "EC") { Data(try point()).base64EncodedString() },
        Form("raw bytes", says: "ASCII text") { (0..<64).map { UInt8($0 * 37 & 255) } },
        Form("32 raw bytes of a key", says: "ASCII text") { Array(try edDER().suffix(32)) },
        Form("a JSON Web Key Set", says: "--jwks") { #"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}"# },
        Form("a JSON Web Key", says: "--jwks") {
            #"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#
        },
        Form("a JSON Web Key Set over several lines", says: "more than one line") {
            "{\n  \"keys\": [ ]\n, \"x\": \"0123456789abcdef\"}\n"
        },
        Form("JSON as base64", says: "JSON") {
            Data(#"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}"#.utf8).base64EncodedString()
        },
        Form("a list in JSON", says: "--jwks") { #"[{"kty":"RSA","n":"AQAB","e":"AQAB"}]"# },
        Form("a token", says: "a token") {
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        },
        Form("an XML key", says: "XML") { "<RSAKeyValue><Modulus>0123456789abcdef</Modulus></RSAKeyValue>" },
        Form("an OpenSSH line", says: "OpenSSH") { "ssh-ed25519 \(ssh()) login@example.com\n" },
        Form("an OpenSSH line of ECDSA", says: "OpenSSH") { "ecdsa-sha2-nistp256 \(ssh()) me\n" },
        Form("an OpenSSH line of a security key", says: "OpenSSH") { "sk-ssh-ed25519@openssh.com \(ssh()) me\n" },
        Form("a line of authorized_keys with options", says: "OpenSSH") { "restrict,pty ssh-ed25519 \(ssh())\n" },
        Form("a line of known_hosts", says: "OpenSSH") { "host.example,192.0.2.1 \(ssh())\n" },
        Form("the key of an OpenSSH line alone", says: "OpenSSH") { ssh() },
        Form("SSH2", says: "more than one line") {
            "---- BEGIN SSH2 PUBLIC KEY ----\n\(ssh())\n---- END SSH2 PUBLIC KEY ----\n"
        },
        Form("PEM whose dashes were lost", says: "PEM") {
            "BEGIN PUBLIC KEY MCowBQYDK2VwAyEA0123456789abcdef END PUBLIC KEY"
        },
        Form("PEM as base64", says: "PEM") { Data(TokenMaker.ed25519.publicPEM.utf8).base64EncodedString() },
        Form("PEM in UTF-16, little-endian", says: "UTF-16") { [0xFF, 0xFE] + utf16(TokenMaker.p256.publicPEM) },
        Form("PEM in UTF-16, big-endian", says: "UTF-16") {
            [0xFE, 0xFF]
                + utf16(TokenMaker.p256.publicPEM).enumerated().map { index, _ in
                    utf16(TokenMaker.p256.publicPEM)[index ^ 1]
                }
        },
        Form("PEM in UTF-16 without a mark", says: "ASCII text") { utf16(TokenMaker.p256.publicPEM) },
        Form("text with a byte order mark", says: "byte order mark") { "\u{FEFF}" + TokenMaker.secret },
        Form("a secret with a NUL byte", says: "ASCII text") { TokenMaker.secret + "\0" },
        Form("letters that are no ASCII", says: "ASCII text") { "Ein Schlüssel, der eigentlich lang genug wäre" },
        Form("two lines", says: "more than one line") { TokenMaker.secret + "\n\n" },
        Form("a PGP key without its armour", says: "ASCII text") { [0x99, 0x01, 0x0D] + [UInt8](0..<200) },
        Form("a minisign key", says: "more than one line") {
            "untrusted comment: minisign public key\nRWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\n"
        },
        Form("an address", says: "--jwks") { "https://login.example.com/.well-known/jwks.json" },
        Form("one character again and again", says: "easily guessed") { String(repeating: "ab", count: 40) },
        Form("nothing", says: "0 bytes") { "" },
        Form("31 characters", says: "31 bytes") { String(TokenMaker.secret.prefix(31)) },
        Form("257 characters", says: "257 bytes") {
            String(String(repeating: TokenMaker.secret, count: 4).prefix(257))
        },
    ]

    @Test("is no public key in any of its forms, and the refusal says in one line what is right", arguments: forms)
    func refused(_ form: Form) async throws {
        let content = try form.content()
        let problem = try #require(SharedSecretTests.problem(content))
        #expect(problem.contains(form.says) && !problem.contains("\n"), "\(problem)")
        // The same by the way that a file takes.
        await #expect(throws: UnusableKey.self) { try await TokenKey(name: nil, content: content) }
    }
}
