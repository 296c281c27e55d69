// SPDX-License-Identifier: Apache-2.0
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import SluiceCore
import SluiceGateway
import Synchronization
import TestSupport
import Testing

@Suite("TokenVerifier")
struct TokenVerifierTests {
    /// The time in these tests, in milliseconds since 1970.
    static let now: Int64 = 1_800_000_000_500

    /// A verifier with these files beside it; `@name` in an argument is the path of the file.
    static func verifier(
        _ arguments: [String], files: [String: String] = [:], wallClock: @escaping @Sendable () -> Int64 = { now }
    ) async throws -> TokenVerifier {
        let directory = try Repository.temporaryDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        for (name, content) in files {
            try content.write(toFile: "\(directory)/\(name)", atomically: true, encoding: .utf8)
        }
        let settings = try SettingsSource(
            arguments: ["--auth", "jwt"] + arguments.map { $0.replacing("@", with: "\(directory)/") }, environment: [:]
        ) { _ in "" }.load()
        return try await TokenVerifier(
            settings, eventLoop: MultiThreadedEventLoopGroup.singleton.next(), wallClock: { UInt64(wallClock()) },
            clock: { .uptimeNanoseconds(0) }, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    static func refusal(_ token: String, by verifier: TokenVerifier) async -> String? {
        do {
            _ = try await verifier.checked(token)
            return nil
        } catch {
            #expect(error.status == .unauthorized && error.code == "unauthorized")
            return error.message
        }
    }

    static let notValidHere = "the token is not valid here"

    // MARK: Algorithms

    struct Algorithm: Sendable, CustomTestStringConvertible {
        let name: String
        let privateKey: @Sendable () throws -> String
        let publicKey: @Sendable () throws -> String
        var testDescription: String { name }

        init(_ name: String, _ pair: @escaping @Sendable () throws -> TokenMaker.Pair) {
            self.name = name
            privateKey = { try pair().privatePEM }
            publicKey = { try pair().publicPEM }
        }

        init(secret name: String) {
            self.name = name
            privateKey = { TokenMaker.secret }
            publicKey = { TokenMaker.secret }
        }
    }

    static let allAlgorithms =
        ["HS256", "HS384", "HS512"].map { Algorithm(secret: $0) }
        + ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"].map { Algorithm($0) { try TokenMaker.rsa.get() } }
        + [
            Algorithm("ES256") { TokenMaker.p256 }, Algorithm("ES384") { TokenMaker.p384 },
            Algorithm("ES512") { TokenMaker.p521 }, Algorithm("EdDSA") { TokenMaker.ed25519 },
        ]

    @Test("Every algorithm's tokens are taken, and none whose text or signature was changed", arguments: allAlgorithms)
    func algorithms(_ algorithm: Algorithm) async throws {
        let verifier = try await TokenVerifierTests.verifier(
            ["--jwt-key", "@key"], files: ["key": try algorithm.publicKey()])
        let token = try await TokenMaker.token(
            try algorithm.privateKey(), claims: #"{"sub":"ann"}"#, algorithm: algorithm.name)
        #expect(try await verifier.checked(token).client == "ann")

        let parts = token.split(separator: ".").map(String.init)
        var signature = try #require(Base64URL.decode(parts[2]))
        signature[signature.count / 2] ^= 1
        let other = Base64URL.encode(#"{"sub":"bob"}"#.utf8)
        for changed in [
            "\(parts[0]).\(parts[1]).\(Base64URL.encode(signature))", "\(parts[0]).\(other).\(parts[2])",
            "\(parts[0]).\(parts[1]).", "\(parts[0]).\(parts[1]).\(Base64URL.encode(signature.dropLast()))",
            "\(parts[0]).\(parts[1]).\(Base64URL.encode(signature + [0]))",
            "\(parts[0]).\(parts[1]).\(Base64URL.encode([UInt8](repeating: 0, count: signature.count)))",
        ] {
            #expect(await TokenVerifierTests.refusal(changed, by: verifier) == TokenVerifierTests.notValidHere)
        }
    }

    @Test("A token is taken only by a key of its algorithm's type and size", arguments: allAlgorithms)
    func types(_ algorithm: Algorithm) async throws {
        let token = try await TokenMaker.token(try algorithm.privateKey(), algorithm: algorithm.name)
        for other in TokenVerifierTests.allAlgorithms where try other.publicKey() != algorithm.publicKey() {
            let verifier = try await TokenVerifierTests.verifier(
                ["--jwt-key", "@key"], files: ["key": try other.publicKey()])
            #expect(await TokenVerifierTests.refusal(token, by: verifier) == TokenVerifierTests.notValidHere)
        }
    }

    @Test("The header's algorithm decides nothing: none, and HMAC with a public key's text, are refused")
    func confusion() async throws {
        let rsa = try TokenMaker.rsa.get()
        let verifier = try await TokenVerifierTests.verifier(
            ["--jwt-key", "@rsa", "--jwt-key", "@p256"],
            files: ["rsa": rsa.publicPEM, "p256": TokenMaker.p256.publicPEM])
        for pem in [rsa.publicPEM, rsa.publicPEM + "\n", TokenMaker.p256.publicPEM] {
            let forged = TokenMaker.forged(header: #"{"alg":"HS256"}"#, secret: Array(pem.utf8))
            #expect(await TokenVerifierTests.refusal(forged, by: verifier) == TokenVerifierTests.notValidHere)
        }
        for name in ["none", "None", "NONE", "", "HS256 ", "hs256", "RSA-OAEP"] {
            let header = Base64URL.encode("{\"alg\":\"\(name)\"}".utf8)
            for signature in ["", "AAAA"] {
                #expect(
                    await TokenVerifierTests.refusal("\(header).e30.\(signature)", by: verifier)
                        == TokenVerifierTests.notValidHere)
            }
        }
    }

    @Test("A header with another algorithm of the same key makes the signature wrong")
    func otherAlgorithm() async throws {
        let verifier = try await TokenVerifierTests.verifier(["--jwt-key", "@key"], files: ["key": TokenMaker.secret])
        let secret = Array(TokenMaker.secret.utf8)
        #expect(
            await TokenVerifierTests.refusal(
                TokenMaker.forged(header: #"{"alg":"HS256"}"#, secret: secret), by: verifier)
                == nil)
        #expect(
            await TokenVerifierTests.refusal(
                TokenMaker.forged(header: #"{"alg":"HS512"}"#, secret: secret), by: verifier)
                == TokenVerifierTests.notValidHere)
        let critical = TokenMaker.forged(header: #"{"alg":"HS256","crit":["b64"],"b64":false}"#, secret: secret)
        #expect(await TokenVerifierTests.refusal(critical, by: verifier) == TokenVerifierTests.notValidHere)
    }

    @Test(
        "What says that it is no access token is refused, also with a good signature",
        arguments: [
            ("JWT", true), ("jwt", true), ("at+jwt", true), ("application/at+jwt", true), ("application/JWT", true),
            ("JOSE", true), ("logout+jwt", false), ("dpop+jwt", false), ("secevent+jwt", false), ("JWE", false),
            ("application/logout+jwt", false), ("", false), ("token-introspection+jwt", false), ("sd+jwt", false),
        ])
    func purpose(type: String, isTaken: Bool) async throws {
        let verifier = try await TokenVerifierTests.verifier(["--jwt-key", "@key"], files: ["key": TokenMaker.secret])
        let token = TokenMaker.forged(
            header: #"{"alg":"HS256","typ":"\#(type)"}"#, secret: Array(TokenMaker.secret.utf8))
        let refusal = await TokenVerifierTests.refusal(token, by: verifier)
        #expect((refusal == nil) == isTaken && refusal.map { $0.contains("typ") } != false, "\(refusal ?? "taken")")
    }

    @Test("What can't be right is refused before anybody looks at its signature", arguments: allAlgorithms)
    func beforeTheQueue(_ algorithm: Algorithm) async throws {
        let verifier = try await TokenVerifierTests.verifier(
            ["--jwt-key", "one=@key"], files: ["key": try algorithm.publicKey()])
        func refused(_ token: String) -> TokenRefusal? {
            do throws(TokenRefusal) {
                _ = try verifier.examine(token)
                return nil
            } catch { return error }
        }
        let good = try await TokenMaker.token(try algorithm.privateKey(), algorithm: algorithm.name, kid: "one")
        #expect(refused(good) == nil)
        let parts = good.split(separator: ".").map(String.init)
        let signature = try #require(Base64URL.decode(parts[2]))
        #expect(refused("\(parts[0]).\(parts[1]).\(Base64URL.encode(signature.dropLast()))") == .notValidHere)
        #expect(refused("\(parts[0]).\(parts[1]).\(Base64URL.encode(signature + [0]))") == .notValidHere)
        let otherName = algorithm.name == "HS256" ? "RS256" : "HS256"
        for header in [#"{"alg":"\#(otherName)"}"#, #"{"alg":"none"}"#, #"{"alg":"\#(algorithm.name)","kid":"two"}"#] {
            #expect(refused("\(Base64URL.encode(header.utf8)).\(parts[1]).\(parts[2])") == .notValidHere, "\(header)")
        }
        let expired = Base64URL.encode(#"{"exp":1}"#.utf8)
        #expect(refused("\(parts[0]).\(expired).\(parts[2])") == .expired)
    }

    // MARK: Form

    @Test(
        "What is no signed JWT is refused as that, whatever it is",
        arguments: [
            "", ".", "..", "a.b", "a.b.c", "a.b.c.d", "e30.e30.", "eyJhbGciOjF9.e30.", "W10.e30.", "é.e30.",
            "e30=.e30.",
            "eyJhbGciOiJIUzI1NiIsImFsZyI6Im5vbmUifQ.e30.", "eyJhbGciOiJIUzI1NiIsImtpZCI6MX0.e30.",
            "eyJhbGciOiJIUzI1NiJ9.e30.A",
            "eyJhbGciOiJIUzI1NiJ9.e30.AA AA", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.",
        ])
    func malformed(token: String) async throws {
        let verifier = try await TokenVerifierTests.verifier(["--jwt-key", "@key"], files: ["key": TokenMaker.secret])
        #expect(await TokenVerifierTests.refusal(token, by: verifier)?.contains("is not a signed JWT") == true)
    }

    @Test("Numbers that no integer holds end nothing but the token")
    func numbers() async throws {
        let verifier = try await TokenVerifierTests.verifier(["--jwt-key", "@key"], files: ["key": TokenMaker.secret])
        let secret = Array(TokenMaker.secret.utf8)
        let header = TokenMaker.forged(header: #"{"alg":"HS256","x":1e300}"#, secret: secret)
        #expect(await TokenVerifierTests.refusal(header, by: verifier) == nil)
        for time in ["1e300", "-1e300", "1e999", "99999999999999999999"] {
            let token = try await TokenMaker.token(TokenMaker.secret, claims: "{\"exp\":\(time)}")
            #expect(
                await TokenVerifierTests.refusal(token, by: verifier)
                    == "the token's claim exp takes seconds since 1970")
        }
    }

    @Test("8 KiB are taken, one byte more is not")
    func length() async throws {
        let verifier = try await TokenVerifierTests.verifier(["--jwt-key", "@key"], files: ["key": TokenMaker.secret])
        func token(_ count: Int) async throws -> String {
            try await TokenMaker.token(TokenMaker.secret, claims: "{\"x\":\"\(String(repeating: "x", count: count))\"}")
        }
        let base = try await token(0).utf8.count
        let longest = try await token((8192 - base) * 3 / 4)
        #expect((8189...8192).contains(longest.utf8.count))
        #expect(await TokenVerifierTests.refusal(longest, by: verifier) == nil)
        #expect(
            await TokenVerifierTests.refusal(try await token((8192 - base) * 3 / 4 + 4), by: verifier)
                == "the token is longer than 8192 bytes")
    }

    // MARK: Grants

    @Test("A token has one id, however its signature is written")
    func ids() async throws {
        let verifier = try await TokenVerifierTests.verifier(
            ["--jwt-key", "@key"], files: ["key": TokenMaker.p256.publicPEM])
        // ECDSA makes another signature each time; one signed text may have many.
        let key = try await TokenMaker.key(TokenMaker.p256.privatePEM)
        let first = try key.token(claims: "{}")
        let second = try key.token(claims: "{}")
        #expect(first != second)
        #expect(try await verifier.checked(first).id == verifier.checked(second).id)
    }

    @Test("A token that was verified is remembered until it ends, and one that was refused never")
    func remembered() async throws {
        let time = Mutex(TokenVerifierTests.now)
        let verifier = try await TokenVerifierTests.verifier(
            ["--jwt-key", "@key", "--jwt-leeway", "1s"], files: ["key": TokenMaker.secret],
            wallClock: { time.withLock { $0 } })
        let token = try await TokenMaker.token(TokenMaker.secret, claims: #"{"sub":"ann","exp":1800000100}"#)
        #expect(verifier.remembered(token) == nil)
        let grant = try await verifier.checked(token)
        #expect(verifier.remembered(token) == grant)
        time.withLock { $0 = 1_800_000_100_999 }
        #expect(verifier.remembered(token) == grant)
        time.withLock { $0 = 1_800_000_101_000 }
        #expect(verifier.remembered(token) == nil)
        #expect(await TokenVerifierTests.refusal(token, by: verifier) == "the token has expired")
        for refused in [
            token + "A", try await TokenMaker.token("another secret that is as long as it has to be", claims: "{}"),
        ] {
            #expect(await TokenVerifierTests.refusal(refused, by: verifier) != nil)
            #expect(verifier.remembered(refused) == nil)
        }
    }
}
