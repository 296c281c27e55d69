// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import SluiceGateway

extension FuzzTarget {
    /// A token's parts have one text each, and claims are refused or legal. What begins with `{` is read as claims.
    static func token(_ input: FuzzInput) {
        precondition(Base64URL.decode(Base64URL.encode(input.bytes)).map { $0.elementsEqual(input.bytes) } == true)
        let text = input.text
        if text.utf8.first == UInt8(ascii: "{") { return check(claims: text) }
        guard let token = try? SignedToken(text) else { return }
        let signed = String(decoding: token.signedText, as: UTF8.self)
        precondition("\(signed).\(Base64URL.encode(token.signature))".utf8.elementsEqual(text.utf8))
        check(claims: token.claims)
    }

    private static func check(claims text: String) {
        guard let claims = try? TokenClaims(text) else { return }
        for pattern in claims.subscribe + claims.publish {
            let again = try? TargetPattern(pattern.description)
            precondition(again == pattern && !pattern.matches(.all))
        }
    }
}
