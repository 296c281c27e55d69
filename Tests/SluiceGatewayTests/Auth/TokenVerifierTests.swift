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

    private static let notValidHere = "the token is not valid here"

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

    // MARK: Claims

    struct Claims: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let arguments: [String]
        let refusal: String?

        init(_ claims: String, _ arguments: [String] = [], refusal: String?) {
            testDescription = claims
            self.arguments = arguments
            self.refusal = refusal
        }
    }

    private static let claimRows = [
        Claims(#"{}"#, refusal: nil),
        Claims(#"{"exp":1800000001}"#, refusal: nil),
        Claims(#"{"exp":1799999995.501}"#, refusal: nil),
        Claims(#"{"exp":1799999995.5}"#, refusal: "the token has expired"),
        Claims(#"{"exp":0}"#, refusal: "the token has expired"),
        Claims(#"{"exp":-1.5e3}"#, refusal: "the token has expired"),
        Claims(#"{"exp":1800000000.5}"#, ["--jwt-leeway", "0s"], refusal: "the token has expired"),
        Claims(#"{"exp":1800000000.501}"#, ["--jwt-leeway", "0s"], refusal: nil),
        Claims(#"{"exp":1799999941}"#, ["--jwt-leeway", "1m"], refusal: nil),
        Claims(#"{"exp":"1800000001"}"#, refusal: "the token's claim exp takes seconds since 1970"),
        Claims(#"{"nbf":1800000005.5}"#, refusal: nil),
        Claims(#"{"nbf":1800000005.501}"#, refusal: "the token is not valid yet"),
        Claims(#"{"nbf":1800000001}"#, ["--jwt-leeway", "0s"], refusal: "the token is not valid yet"),
        Claims(#"{"iss":"a"}"#, ["--jwt-issuer", "a"], refusal: nil),
        Claims(#"{"iss":"b"}"#, ["--jwt-issuer", "a", "--jwt-issuer", "b"], refusal: nil),
        Claims(#"{"iss":"c"}"#, ["--jwt-issuer", "a", "--jwt-issuer", "b"], refusal: notValidHere),
        Claims(#"{"iss":"A"}"#, ["--jwt-issuer", "a"], refusal: notValidHere),
        Claims(#"{}"#, ["--jwt-issuer", "a"], refusal: notValidHere),
        Claims(#"{"iss":["a"]}"#, ["--jwt-issuer", "a"], refusal: "the token's claim iss takes a string"),
        Claims(#"{"iss":"x","aud":"y"}"#, refusal: nil),
        Claims(#"{"aud":"a"}"#, ["--jwt-audience", "a"], refusal: nil),
        Claims(#"{"aud":["x","b"]}"#, ["--jwt-audience", "a", "--jwt-audience", "b"], refusal: nil),
        Claims(#"{"aud":["x"]}"#, ["--jwt-audience", "a"], refusal: notValidHere),
        Claims(#"{"aud":[]}"#, ["--jwt-audience", "a"], refusal: notValidHere),
        Claims(#"{}"#, ["--jwt-audience", "a"], refusal: notValidHere),
        Claims(#"{"aud":[1]}"#, refusal: "the token's claim aud takes a list of strings"),
        Claims(#"{"sub":1}"#, refusal: "the token's claim sub takes a string"),
        Claims(
            #"{"sub":""}"#,
            refusal: "the token's claim sub is no client id: it is empty; 1 to 255 bytes are needed"),
        Claims(
            #"{"sub":"{6F9619FF-8B86-D011-B42D-00CF4FC964FF}"}"#,
            refusal:
                "the token's claim sub is no client id: it contains U+7B; control characters, white space and braces are not allowed"
        ),
        Claims(
            #"{"sub":"Ann Smith"}"#,
            refusal:
                "the token's claim sub is no client id: it contains U+20; control characters, white space and braces are not allowed"
        ),
        Claims(#"{"exp":null}"#, refusal: "the token's claim exp takes seconds since 1970"),
        Claims(#"{"nbf":null}"#, refusal: "the token's claim nbf takes seconds since 1970"),
        Claims(
            #"{"events":{"http://schemas.openid.net/event/backchannel-logout":{}},"sub":"ann"}"#,
            refusal: "the token is no access token; its typ may be JWT or at+jwt, or missing"),
        Claims(#"{"sluice":[]}"#, refusal: "the token's claim sluice takes an object"),
        Claims(#"{"sluice":{"admin":1}}"#, refusal: "the token's claim sluice.admin takes true or false"),
        Claims(#"{"sluice":{"publish":"*"}}"#, refusal: "the token's claim sluice.publish takes a list of strings"),
        Claims(
            #"{"sluice":{"subscribe":[""]}}"#,
            refusal: "the token's claim sluice.subscribe has a pattern that is empty; 1 to 255 bytes are needed"),
        Claims(
            #"{"a":1,"a":2}"#, refusal: "the token is not a signed JWT: three parts of base64url with dots between them"
        ),
        Claims(#"[]"#, refusal: "the token is not a signed JWT: three parts of base64url with dots between them"),
    ]

    @Test("Claims are checked; of a wrong issuer or audience nothing is told", arguments: claimRows)
    func checks(_ row: Claims) async throws {
        let verifier = try await TokenVerifierTests.verifier(
            ["--jwt-key", "@key"] + row.arguments, files: ["key": TokenMaker.secret])
        let token = try await TokenMaker.token(TokenMaker.secret, claims: row.testDescription)
        #expect(await TokenVerifierTests.refusal(token, by: verifier) == row.refusal)
    }

    @Test("Nothing is told of the claims of a token that is nobody's, but that it has expired")
    func signatureFirst() async throws {
        let verifier = try await TokenVerifierTests.verifier(["--jwt-key", "@key"], files: ["key": TokenMaker.secret])
        for claims in [#"{"sub":1}"#, #"{"sub":"","exp":0}"#, "no json"] {
            let token = try await TokenMaker.token("another secret, as long as is needed", claims: claims)
            #expect(await TokenVerifierTests.refusal(token, by: verifier) == TokenVerifierTests.notValidHere)
        }
        let expired = try await TokenMaker.token("another secret, as long as is needed", claims: #"{"exp":0}"#)
        #expect(await TokenVerifierTests.refusal(expired, by: verifier) == "the token has expired")
    }

    @Test("A grant is what the claims say, as an object or with flat names")
    func grants() async throws {
        let verifier = try await TokenVerifierTests.verifier(["--jwt-key", "@key"], files: ["key": TokenMaker.secret])
        func grant(_ claims: String) async throws -> Grant {
            try await verifier.checked(try await TokenMaker.token(TokenMaker.secret, claims: claims))
        }
        var grant1 = try await grant(
            #"{"sub":"ann","exp":1800000100.25,"sluice":{"subscribe":["news.*"],"publish":["a","client:b"],"admin":true}}"#
        )
        #expect(grant1.id.count == 24)
        let expected = Grant(
            client: "ann", subscribe: [try TargetPattern("news.*")],
            publish: [try TargetPattern("a"), try TargetPattern("client:b")], isAdmin: true, expiry: 1_800_000_100_250,
            id: grant1.id)
        #expect(grant1 == expected)
        grant1 = try await grant(
            #"{"sub":"ann","exp":1800000100.25,"sluice.subscribe":["news.*"],"sluice.publish":["a","client:b"],"sluice.admin":true}"#
        )
        #expect(grant1.id != expected.id)
        grant1.id = expected.id
        #expect(grant1 == expected)
        #expect(
            try await grant(#"{"sluice":{"publish":["a"]},"sluice.publish":["*"]}"#).publish.map(\.description) == ["a"]
        )
        #expect(try await grant(#"{"sub":null}"#).client == nil)
        #expect(try await grant(#"{"sluice":null}"#).isAdmin == false)
    }

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

    // MARK: Keys

    @Test("A token that names its key is taken by that one or one without a name; one that doesn't by any")
    func names() async throws {
        let files = ["a": TokenMaker.secret + " a", "b": TokenMaker.secret + " b", "c": TokenMaker.secret + " c"]
        let verifier = try await TokenVerifierTests.verifier(
            ["--jwt-key", "one=@a", "--jwt-key", "two=@b", "--jwt-key", "@c"], files: files)
        let rows: [(file: String, kid: String?, isTaken: Bool)] = [
            ("a", "one", true), ("b", "two", true), ("a", nil, true), ("b", nil, true), ("c", nil, true),
            ("c", "one", true), ("c", "unknown", true), ("a", "two", false), ("b", "unknown", false), ("a", "", false),
        ]
        for row in rows {
            let token = try await TokenMaker.token(files[row.file] ?? "", kid: row.kid)
            let refusal = await TokenVerifierTests.refusal(token, by: verifier)
            #expect((refusal == nil) == row.isTaken, "\(row)")
        }
    }

    @Test("With keys for publishers, the others' tokens only subscribe")
    func publishKeys() async throws {
        let files = ["user": TokenMaker.secret + " user", "backend": TokenMaker.secret + " backend"]
        let claims = #"{"sub":"ann","sluice":{"subscribe":["a"],"publish":["*"],"admin":true}}"#
        let user = try await TokenMaker.token(TokenMaker.secret + " user", claims: claims)
        let backend = try await TokenMaker.token(TokenMaker.secret + " backend", claims: claims)
        let split = try await TokenVerifierTests.verifier(
            ["--jwt-key", "@user", "--jwt-publish-key", "@backend"], files: files)
        let reader = try await split.checked(user)
        #expect(reader.client == "ann" && reader.subscribe.count == 1 && reader.publish.isEmpty && !reader.isAdmin)
        let writer = try await split.checked(backend)
        #expect(writer.client == "ann" && writer.subscribe.count == 1 && writer.publish.count == 1 && writer.isAdmin)
        let same = try await TokenVerifierTests.verifier(["--jwt-key", "@user", "--jwt-key", "@backend"], files: files)
        #expect(try await same.checked(user).isAdmin)
    }

    @Test(
        "A key that can't be used stops the start with a line that names the setting and the file",
        arguments: [
            ("", "has a secret of 0 bytes; at least 32 are needed"),
            (String(repeating: "x", count: 31) + "\n", "has a secret of 31 bytes; at least 32 are needed"),
            ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "has no key that is taken"),
            (String(repeating: "x", count: 100) + "-----BEGIN ", "has no key that is taken"),
            (smallRSA, "has no key that is taken: RSA of 2048 bits or more"),
        ])
    func badKeys(content: String, problem: String) async throws {
        for setting in ["--jwt-key", "--jwt-publish-key"] {
            let error = await #expect(throws: TokenVerifier.Failure.self) {
                try await TokenVerifierTests.verifier([setting, "@key"], files: ["key": content])
            }
            let line = error?.description ?? ""
            #expect(line.hasPrefix("\(setting): /") && line.contains("/key \(problem)") && !line.contains("\n"))
        }
    }

    @Test("A file that is not there stops the start")
    func missingFile() async throws {
        for setting in ["--jwt-key", "--jwt-publish-key", "--jwks"] {
            let error = await #expect(throws: TokenVerifier.Failure.self) {
                try await TokenVerifierTests.verifier([setting, "@none"])
            }
            #expect(error?.description.contains("/none can't be read: No such file") == true)
        }
    }

    @Test("One newline at the end of a secret's file is no part of it, a space is")
    func newline() async throws {
        let token = try await TokenMaker.token(TokenMaker.secret)
        for (end, isTaken) in [("", true), ("\n", true), ("\r\n", true), (" ", false)] {
            let verifier = try await TokenVerifierTests.verifier(
                ["--jwt-key", "@key"], files: ["key": TokenMaker.secret + end])
            let refusal = await TokenVerifierTests.refusal(token, by: verifier)
            #expect((refusal == nil) == isTaken, "\(end.debugDescription)")
        }
    }

    @Test(
        "A secret signs with the hashes that it is as long as",
        arguments: [
            (32, ["HS256"]), (47, ["HS256"]), (48, ["HS256", "HS384"]), (64, ["HS256", "HS384", "HS512"]),
        ])
    func secretLength(bytes: Int, algorithms: [String]) async throws {
        let secret = Array(TokenMaker.secret.utf8.prefix(bytes))
        let key = try await TokenKey(name: nil, content: secret)
        #expect(key.algorithmNames == algorithms)
    }

    @Test("Private keys and certificates serve as well as public keys")
    func otherForms() async throws {
        for content in [
            TokenMaker.p256.privatePEM, TokenMaker.p384.privatePEM, TokenMaker.p521.privatePEM,
            TokenMaker.ed25519.privatePEM, try TokenMaker.rsa.get().privatePEM,
        ] {
            let verifier = try await TokenVerifierTests.verifier(["--jwt-key", "@key"], files: ["key": content])
            #expect(await TokenVerifierTests.refusal(try await TokenMaker.token(content), by: verifier) == nil)
        }
        #expect(try await TokenMaker.key(TokenVerifierTests.certificate).algorithmNames == ["ES256"])
        // As openssl writes them.
        let parameters = "-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC PARAMETERS-----\n"
        #expect(try await TokenMaker.key(parameters + TokenMaker.p384.privatePEM).algorithmNames == ["ES384"])
        let chain = "Certificate:\n    Data:\n" + TokenVerifierTests.certificate + "\n" + TokenVerifierTests.certificate
        #expect(try await TokenMaker.key(chain).algorithmNames == ["ES256"])
    }

    @Test("A file with a key set may hold secrets, and must hold a key that can be used")
    func setFile() async throws {
        let secret = Base64URL.encode(TokenMaker.secret.utf8)
        let set = TokenMaker.set(["{\"kty\":\"oct\",\"kid\":\"s\",\"alg\":\"HS384\",\"k\":\"\(secret)\"}"])
        let verifier = try await TokenVerifierTests.verifier(["--jwks", "@set"], files: ["set": set])
        let token = try await TokenMaker.token(TokenMaker.secret, algorithm: "HS384", kid: "s")
        #expect(await TokenVerifierTests.refusal(token, by: verifier) == nil)
        let other = try await TokenMaker.token(TokenMaker.secret, algorithm: "HS256", kid: "s")
        #expect(await TokenVerifierTests.refusal(other, by: verifier) == TokenVerifierTests.notValidHere)
        for (content, problem) in [("{\"keys\":[]}", "has no key that can be used"), ("{", "is not JSON")] {
            let error = await #expect(throws: TokenVerifier.Failure.self) {
                try await TokenVerifierTests.verifier(["--jwks", "@set"], files: ["set": content])
            }
            #expect(error?.description.contains("/set \(problem)") == true)
        }
    }

    @Test("A public key signs nothing, and no key signs with an algorithm that doesn't fit")
    func signing() async throws {
        let publicKey = try await TokenMaker.key(TokenMaker.p256.publicPEM)
        #expect(throws: UnusableKey.self) { try publicKey.token(claims: "{}") }
        let privateKey = try await TokenMaker.key(TokenMaker.p256.privatePEM)
        #expect(throws: UnusableKey.self) { try privateKey.token(claims: "{}", algorithm: "ES384") }
    }

    /// 1024 bits.
    private static let smallRSA = """
        -----BEGIN PUBLIC KEY-----
        MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC5OXmPcsDrexz6uWUCIAh180Ka
        UNqkXZhBAxhJiMBhUyJbyUATfEYkDNiztwAZ4Rg6pd9SCJvZgsj6+TZXd361jVRX
        fFl65tF9ERZwTTZSSUYRUagWl/QAfwqG02gBDmkSqG4DVKfYKgXHuH4VwyOnshAy
        wGSYGOpbeWgNScCLawIDAQAB
        -----END PUBLIC KEY-----
        """

    /// Of a P-256 key.
    private static let certificate = """
        -----BEGIN CERTIFICATE-----
        MIIBczCCARmgAwIBAgIUf/jbXiDjuMiBLHHl1bgpvhHeyu0wCgYIKoZIzj0EAwIw
        DzENMAsGA1UEAwwEdGVzdDAeFw0yNjExMjExODIyNTdaFw0zNjExMTgxODIyNTda
        MA8xDTALBgNVBAMMBHRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQN5mxz
        zNoGUKxZgh2gvfMqqpp7kUoy1N1Gl7HW769o44H8oop9tbFFZDKY+HNyERNuygtP
        wfvUFlYr0QDGRv4Ro1MwUTAdBgNVHQ4EFgQUXEIn8AkS+/eR5uVza/LGD9jUlJUw
        HwYDVR0jBBgwFoAUXEIn8AkS+/eR5uVza/LGD9jUlJUwDwYDVR0TAQH/BAUwAwEB
        /zAKBggqhkjOPQQDAgNIADBFAiEAmG10flSUU6gp3KIqfW9fgW6ACPsIGU6UY0mV
        VwnsVMQCIBRUF+ir+9EiYyP/oznpx8cWSeiBOS58yR/oREu37LeF
        -----END CERTIFICATE-----
        """
}
