// SPDX-License-Identifier: Apache-2.0

/// Why a token is not taken.
///
/// The client is told what helps an honest developer. What could help somebody who guesses is all one: an unknown key, a
/// wrong signature, an algorithm that doesn't fit, another issuer or audience are "not valid here".
package enum TokenRefusal: Error, Equatable {
    case tooLong
    case malformed
    case notValidHere
    case expired
    case notYetValid
    /// It may be signed with a key that has still to be fetched, so nothing can be said of it: the fault is not the client's.
    case keyUnknown
    /// It says that it is for something else (RFC 8725 §3.11), as a logout token.
    case otherPurpose
    /// Said only of a token whose signature is right.
    case badClaim(String)
    /// Too many tokens wait for their check.
    case busy

    /// Nothing was found wrong with the token: the same request may succeed later.
    package var isPassing: Bool { self == .keyUnknown || self == .busy }

    /// What the client is told.
    package var message: String {
        switch self {
        case .tooLong: "the token is longer than \(SignedToken.bytesMax) bytes"
        case .malformed: "the token is not a signed JWT: three parts of base64url with dots between them"
        case .notValidHere: "the token is not valid here"
        case .expired: "the token has expired"
        case .notYetValid: "the token is not valid yet"
        case .keyUnknown: "the key that the token is signed with could not be fetched yet"
        case .otherPurpose: "the token is no access token; its typ may be JWT or at+jwt, or missing"
        case .busy: "too many tokens wait to be checked; come back"
        case .badClaim(let problem): "the token's claim \(problem)"
        }
    }
}
