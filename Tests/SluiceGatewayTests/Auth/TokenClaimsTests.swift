// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import SluiceGateway
import Testing

@Suite("The claims of tokens")
struct TokenClaimsTests {
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
        Claims(#"{"iss":"c"}"#, ["--jwt-issuer", "a", "--jwt-issuer", "b"], refusal: TokenVerifierTests.notValidHere),
        Claims(#"{"iss":"A"}"#, ["--jwt-issuer", "a"], refusal: TokenVerifierTests.notValidHere),
        Claims(#"{}"#, ["--jwt-issuer", "a"], refusal: TokenVerifierTests.notValidHere),
        Claims(#"{"iss":["a"]}"#, ["--jwt-issuer", "a"], refusal: "the token's claim iss takes a string"),
        Claims(#"{"iss":"x","aud":"y"}"#, refusal: nil),
        Claims(#"{"aud":"a"}"#, ["--jwt-audience", "a"], refusal: nil),
        Claims(#"{"aud":["x","b"]}"#, ["--jwt-audience", "a", "--jwt-audience", "b"], refusal: nil),
        Claims(#"{"aud":["x"]}"#, ["--jwt-audience", "a"], refusal: TokenVerifierTests.notValidHere),
        Claims(#"{"aud":[]}"#, ["--jwt-audience", "a"], refusal: TokenVerifierTests.notValidHere),
        Claims(#"{}"#, ["--jwt-audience", "a"], refusal: TokenVerifierTests.notValidHere),
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
}
