// SPDX-License-Identifier: Apache-2.0

/// What a node has to say or to ask about who is there: one command.
package enum PresenceCall: Equatable, Sendable {
    package struct Change: Equatable, Sendable {
        package enum Kind: Equatable, Sendable {
            /// The client has come to the node; with it the period begins, if the client is nowhere yet.
            case came(period: String)
            /// It has left the node; if it is nowhere else, its period ends with that.
            case left
            /// The same, but only if it is listed at another node.
            case leftUnlessLast
            /// An earlier period has ended: that may have been forgotten.
            case ended(period: String)
            /// The same, but only if it is listed at no other node.
            case endedUnlessListed(period: String)
        }

        package let client: Target
        package let kind: Kind

        package init(_ client: Target, _ kind: Kind) {
            self.client = client
            self.kind = kind
        }
    }

    /// The node lives, and has these changes.
    ///
    /// - Parameter state: what it has told until now; nil: it joins, whatever that was.
    case tell(state: String?, newState: String, [Change])
    /// Which clients are listed at this node.
    case sweep(cursor: String)
    /// A dead node's clients are to be taken off.
    case clean(node: String, cursor: String)
}

/// The reply to a ``PresenceCall``.
package enum PresenceReply: Equatable, Sendable {
    /// In the place of a period.
    package static let notDone = "?"

    /// What is known of the node is something else than it thought; nothing was done.
    case lost
    /// - Parameters:
    ///   - dead: nodes to be cleaned up after.
    ///   - state: what the node had told, by what is known of it; empty: nothing. `gone`, `done`: it was taken for dead.
    case joined(dead: [String], state: String)
    /// - Parameter periods: one for each change; ``notDone`` where it was not to be.
    case told(dead: [String], periods: [String])
    case swept(cursor: String, clients: [Target])
    case cleaned(cursor: String)
}
