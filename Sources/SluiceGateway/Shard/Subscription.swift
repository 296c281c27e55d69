// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// What a stream is opened for: its targets, where it begins, and whose it is.
package struct Subscription: Equatable, Sendable {
    /// Without `all`, which every stream listens to; empty: to nothing else.
    package var targets: [Target] = []
    package var hasCheckpoints = true
    package var conflates = false
    package var resume = Resume.fresh
    /// How long its token is still good; nil: for ever.
    package var timeLeft: TimeAmount?
    /// The client that its token is of, if it does not listen to that one anyway.
    package var owner: Target?
    /// Whose right it is, the token's client or else the token itself; nil: everybody's.
    package var holder: String?

    /// The client that it listens to.
    package var client: Target? { targets.first { $0.kind == .client } }

    package init() {}
}
