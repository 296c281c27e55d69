// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// What a token says, read but not judged.
///
/// Besides the registered claims (RFC 7519 §4.1) there is the object `sluice` with `subscribe` and `publish`, lists of
/// patterns, and `admin`; for issuers that can't make objects the same as `sluice.subscribe`, `sluice.publish` and
/// `sluice.admin`. Where both are there, the object's member counts.
package struct TokenClaims: Equatable {
    package let subject: String?
    package let issuer: String?
    package let audiences: [String]
    /// Milliseconds since 1970, as is `notBefore`.
    package let expiry: Int64?
    package let notBefore: Int64?
    package let subscribe: [TargetPattern]
    package let publish: [TargetPattern]
    package let isAdmin: Bool

    /// - Throws: ``TokenRefusal/badClaim(_:)``, or ``TokenRefusal/otherPurpose`` of what only a security event has.
    package init(_ text: String) throws(TokenRefusal) {
        let reader = try Reader(text)
        // RFC 8417 §2.2; logout tokens have it, too (OpenID Connect Back-Channel Logout §2.4), and often the type JWT.
        guard !reader.has("events") else { throw .otherPurpose }
        subject = try reader.client("sub")
        issuer = try reader.string("iss")
        audiences = try reader.strings("aud", mayBeOne: true)
        expiry = try reader.time("exp")
        notBefore = try reader.time("nbf")
        subscribe = try reader.patterns("subscribe")
        publish = try reader.patterns("publish")
        isAdmin = try reader.flag("admin")
    }
}

private struct Reader {
    /// Beyond the year 30000 is no time but a mistake; milliseconds of it are still exact in a Double.
    private static let secondsMax = 1e12

    private let members: [ExactText: JSONText.Member]

    init(_ text: String) throws(TokenRefusal) {
        guard var members = try? JSONText.object(text) else { throw .malformed }
        if let own = members["sluice"], own.value != .null {
            guard own.value == .object, let grants = try? JSONText.object(String(own.text)) else {
                throw .badClaim("sluice takes an object")
            }
            for (name, member) in grants { members[ExactText("sluice.\(name.text)")] = member }
        }
        self.members = members
    }

    /// `null` is as good as nothing.
    private func value(_ name: String) -> JSONText.Value? {
        members[ExactText(name)].flatMap { $0.value == .null ? nil : $0.value }
    }

    func has(_ name: String) -> Bool { value(name) != nil }

    /// Limits by client and orders to disconnect find a token's streams by it: one that they can't name would escape them.
    func client(_ name: String) throws(TokenRefusal) -> String? {
        guard let text = try string(name) else { return nil }
        do { _ = try Target.client(text) } catch { throw .badClaim("\(name) is no client id: it \(error)") }
        return text
    }

    func string(_ name: String) throws(TokenRefusal) -> String? {
        switch value(name) {
        case nil: nil
        case .string(let text): text
        default: throw .badClaim("\(name) takes a string")
        }
    }

    func strings(_ name: String, mayBeOne: Bool = false) throws(TokenRefusal) -> [String] {
        switch value(name) {
        case nil: return []
        case .string(let text) where mayBeOne: return [text]
        case .array(let elements):
            let texts = elements.compactMap { if case .string(let text) = $0.value { text } else { nil } }
            if texts.count == elements.count { return texts }
        default: break
        }
        throw .badClaim("\(name) takes a list of strings")
    }

    /// Seconds, which may have a fraction (RFC 7519 §2, NumericDate). A `null` is refused: it would be a token without an end.
    func time(_ name: String) throws(TokenRefusal) -> Int64? {
        switch members[ExactText(name)]?.value {
        case nil: return nil
        case .number(let text):
            if let seconds = Double(text), abs(seconds) <= Reader.secondsMax {
                return Int64((seconds * 1000).rounded(.down))
            }
        default: break
        }
        throw .badClaim("\(name) takes seconds since 1970")
    }

    func patterns(_ name: String) throws(TokenRefusal) -> [TargetPattern] {
        var patterns: [TargetPattern] = []
        for text in try strings("sluice.\(name)") {
            do { patterns.append(try TargetPattern(text)) } catch {
                throw .badClaim("sluice.\(name) has a pattern that \(error)")
            }
        }
        return patterns
    }

    func flag(_ name: String) throws(TokenRefusal) -> Bool {
        switch value("sluice.\(name)") {
        case nil: false
        case .bool(let flag): flag
        default: throw .badClaim("sluice.\(name) takes true or false")
        }
    }
}
