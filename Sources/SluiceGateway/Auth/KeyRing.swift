// SPDX-License-Identifier: Apache-2.0

/// The keys that tokens may be signed with.
package struct KeyRing: Sendable {
    package struct Entry: Sendable {
        package let key: TokenKey
        /// Tokens signed with it keep what they say of publishing and administration.
        package let mayPublish: Bool

        package init(_ key: TokenKey, mayPublish: Bool) {
            self.key = key
            self.mayPublish = mayPublish
        }
    }

    private let entries: [Entry]

    package init(_ entries: [Entry]) {
        self.entries = entries
    }

    package func hasKey(named name: String) -> Bool {
        entries.contains { $0.key.name.map { $0.utf8.elementsEqual(name.utf8) } == true }
    }

    /// Whether a look at the signature can have any other result than no: a key that may have signed the token has its algorithm,
    /// and the signature has that one's length.
    package func fits(_ token: SignedToken) -> Bool {
        entries.contains { KeyRing.mayBe($0.key, token.keyName) && $0.key.fits(token) }
    }

    /// What the token was signed with; nil if with nothing here.
    package func signer(of token: SignedToken) -> Entry? {
        // First by the key that it names, for it is most likely that one.
        let name = token.keyName
        return entries.first { $0.key.name != nil && KeyRing.mayBe($0.key, name) && $0.key.signed(token) }
            ?? entries.first { $0.key.name == nil && $0.key.signed(token) }
    }

    /// A token that names its key (`kid`) may be of that key or of one without a name, and of no other; one that doesn't may be
    /// of any.
    private static func mayBe(_ key: TokenKey, _ name: String?) -> Bool {
        guard let name, let own = key.name else { return true }
        return own.utf8.elementsEqual(name.utf8)
    }
}
