// SPDX-License-Identifier: Apache-2.0
import JWTKit
import SluiceCore
import SluiceGateway
import TestSupport
import Testing

@Suite("KeySet")
struct KeySetTests {
    private static let key = ES256PrivateKey()

    private func names(_ text: String, allowsSecrets: Bool = false) async throws -> [String?] {
        try await KeySet(text, allowsSecrets: allowsSecrets).keys.map(\.name)
    }

    @Test("Keys of another use, type or curve and broken ones are passed over; the others count")
    func passesOver() async throws {
        let good = TokenMaker.jwk(KeySetTests.key, kid: "good", extra: #""use":"sig","#)
        let odd = [
            TokenMaker.jwk(KeySetTests.key, kid: "enc", extra: #""use":"enc","#),
            TokenMaker.jwk(KeySetTests.key, kid: "ops", extra: #""key_ops":["sign"],"#),
            TokenMaker.jwk(KeySetTests.key, kid: "alg", extra: #""alg":"ES384","#),
            #"{"kty":"new","kid":"new"}"#, #"{"kty":"EC","crv":"P-256","kid":"short","x":"AA","y":"AA"}"#,
            #"{"kty":"EC","crv":"secp256k1","kid":"curve","x":"AA","y":"AA"}"#,
            #"{"kty":"EC","crv":"P-256","kid":"none"}"#,
            #"{"kty":"RSA","kid":"small","n":"AQAB","e":"AQAB"}"#, #"{"kty":"OKP","crv":"X25519","kid":"x","x":"AA"}"#,
            #"{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"AA"}"#, "1", "[]", "null", "{}",
        ]
        #expect(try await names(TokenMaker.set(odd + [good])) == ["good"])
    }

    @Test("A key verifies with its own algorithm only, where it names one")
    func algorithm() async throws {
        let set = TokenMaker.set([TokenMaker.jwk(KeySetTests.key, kid: nil, extra: #""alg":"ES256","#)])
        #expect(try await KeySet(set, allowsSecrets: false).keys.map(\.algorithmNames) == [["ES256"]])
    }

    /// RFC 8037 appendix A.2, and the modulus of RFC 7515 appendix A.2.
    @Test("RSA and Ed25519 keys are read")
    func types() async throws {
        let set = TokenMaker.set([
            #"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            #"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#,
        ])
        #expect(
            try await KeySet(set, allowsSecrets: false).keys.map(\.algorithmNames)
                == [["EdDSA"], ["RS256", "PS256", "RS384", "PS384", "RS512", "PS512"]])
    }

    @Test("Secrets count in a file, not in a set that everybody can fetch")
    func secrets() async throws {
        let set = TokenMaker.set([
            "{\"kty\":\"oct\",\"kid\":\"s\",\"k\":\"\(Base64URL.encode(TokenMaker.secret.utf8))\"}"
        ])
        #expect(try await names(set, allowsSecrets: true) == ["s"])
        #expect(try await names(set).isEmpty)
    }

    @Test("A hundred keys are taken, more are not")
    func count() async throws {
        let key = #"{"kty":"new"}"#
        #expect(try await names(TokenMaker.set(Array(repeating: key, count: 100))).isEmpty)
        await #expect(throws: KeySet.Malformed.self) {
            try await self.names(TokenMaker.set(Array(repeating: key, count: 101)))
        }
    }

    @Test("What is no key set is refused", arguments: ["", "[]", "{}", #"{"keys":{}}"#, "<html>", #"{"keys":[]"#])
    func malformed(text: String) async {
        await #expect(throws: KeySet.Malformed.self) { try await KeySet(text, allowsSecrets: false) }
    }

    @Test("More than a MiB is not read")
    func length() async {
        let text = #"{"keys":[],"x":""# + String(repeating: "x", count: 1 << 20) + "\"}"
        await #expect(throws: KeySet.Malformed.self) { try await KeySet(text, allowsSecrets: false) }
    }
}
