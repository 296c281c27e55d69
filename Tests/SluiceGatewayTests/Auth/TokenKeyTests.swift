// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import SluiceGateway
import Testing

@Suite("The keys of tokens")
struct TokenKeyTests {
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
        #expect(try await TokenMaker.key(TokenKeyTests.certificate).algorithmNames == ["ES256"])
        // As openssl writes them.
        let parameters = "-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC PARAMETERS-----\n"
        #expect(try await TokenMaker.key(parameters + TokenMaker.p384.privatePEM).algorithmNames == ["ES384"])
        let chain = "Certificate:\n    Data:\n" + TokenKeyTests.certificate + "\n" + TokenKeyTests.certificate
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
