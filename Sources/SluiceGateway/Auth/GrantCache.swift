// SPDX-License-Identifier: Apache-2.0
import Crypto
import SluiceCore

/// What the tokens that were verified last allow: whoever comes back with the same token, as all do after a network's
/// hiccup, needs no second look at its signature.
///
/// Holds no token, only its hash, and at least the ``capacity`` that were asked for last. A grant's end is for the caller
/// to look at.
package struct GrantCache: Sendable {
    package static let capacity = 4096

    /// Which keys the grants come from: what others have said is forgotten.
    private var generation = 0
    private var recent: [SHA256Digest: Grant] = [:]
    private var older: [SHA256Digest: Grant] = [:]

    package init() {}

    package mutating func grant(of token: SHA256Digest, generation: Int) -> Grant? {
        begin(generation)
        if let grant = recent[token] { return grant }
        guard let grant = older[token] else { return nil }
        insert(grant, of: token, generation: generation)
        return grant
    }

    /// - Parameter generation: of the keys that the token was checked with, which may be old ones by now.
    package mutating func insert(_ grant: Grant, of token: SHA256Digest, generation: Int) {
        begin(generation)
        guard generation == self.generation else { return }
        if recent.count == GrantCache.capacity {
            older = recent
            recent = [:]
        }
        recent[token] = grant
    }

    private mutating func begin(_ generation: Int) {
        guard generation > self.generation else { return }
        self.generation = generation
        recent = [:]
        older = [:]
    }
}
