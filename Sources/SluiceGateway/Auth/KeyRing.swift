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

    /// What the token was signed with; nil if with nothing here.
    ///
    /// A token that names its key (`kid`) may be of that key or of one without a name, and of no other; one that doesn't may be
    /// of any.
    package func signer(of token: SignedToken) -> Entry? {
        guard let name = token.keyName else { return entries.first { $0.key.signed(token) } }
        let named = entries.first {
            $0.key.name.map { $0.utf8.elementsEqual(name.utf8) } == true && $0.key.signed(token)
        }
        return named ?? entries.first { $0.key.name == nil && $0.key.signed(token) }
    }
}
