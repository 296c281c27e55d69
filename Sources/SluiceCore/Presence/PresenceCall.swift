// SPDX-License-Identifier: Apache-2.0

/// What a node has to say or to ask about who is there: one command.
package enum PresenceCall: Equatable, Sendable {
    package struct Change: Equatable, Sendable {
        package enum Kind: Equatable, Sendable {
            /// The client has come to the node; with it this period begins, if the client is in none yet.
            case came(period: String)
            /// It is still there, in a period that the broker has confirmed once: another one has ended, and that was forgotten.
            case stays(period: String)
            /// It has left the node; if it is nowhere else, its period ends with that.
            case left(period: String?)
            /// An earlier period has ended, perhaps with a dead node: that may have been forgotten.
            case ended(period: String, dead: String?)

            var isDeparture: Bool {
                switch self {
                case .came, .stays: false
                case .left, .ended: true
                }
            }
        }

        package let client: Target
        package let kind: Kind
        /// Of a departure: do it only where what other nodes have still to say can't make it wrong. A client does not leave
        /// the last node, and a period does not end that others are listed in.
        package let isCareful: Bool

        package init(_ client: Target, _ kind: Kind, isCareful: Bool = false) {
            self.client = client
            self.kind = kind
            self.isCareful = isCareful
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
    /// In the place of a period: a careful change was not made.
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
    /// - Parameter ended: the periods that have ended with it.
    case cleaned(cursor: String, ended: [Period])

    /// A period of a client.
    package struct Period: Equatable, Sendable {
        package let client: Target
        package let name: String

        package init(of client: Target, _ name: String) {
            self.client = client
            self.name = name
        }
    }
}
