// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// What becomes of a command that a cluster did not carry out: followed to where it was sent, tried again later, or failed.
///
/// No I/O; time is an argument.
package struct ClusterAttempts: Sendable {
    package enum Action: Equatable, Sendable {
        /// Once: with `ASKING` before it if it is for this command only.
        case follow(Redirection)
        /// To the owner of its partition, whoever that is by then.
        case tryLater
        case fail
    }

    /// What the topology has to do with a failure.
    package enum Sign: Equatable, Sendable {
        /// - Parameter trusted: who should know better.
        case look(trusting: RedisAddress?)
        case none
    }

    /// A cluster's states that pass, or that a look at its topology cures.
    private static let passing = ["TRYAGAIN", "LOADING"]
    private static let outdated = ["CLUSTERDOWN", "READONLY", "MASTERDOWN", "ERR CLUSTERDOWN"]

    /// Until when it may be tried again.
    private let deadline: NIODeadline
    private var hasFollowed = false

    package init(until deadline: NIODeadline) {
        self.deadline = deadline
    }

    /// - Parameters:
    ///   - asked: who was sent the command.
    ///   - limit: when its partition has been in trouble for too long.
    package mutating func failed(
        _ error: RedisError, asked: RedisAddress?, now: NIODeadline, limit: NIODeadline
    ) -> (action: Action, sign: Sign) {
        let later = now < min(deadline, limit) ? Action.tryLater : .fail
        switch error {
        case .unavailable, .unfit: return (later, .look(trusting: nil))
        // Whether it was carried out is not known.
        case .lost: return (.fail, .look(trusting: nil))
        case .overloaded: return (.fail, .none)
        case .refused(let message):
            if let redirection = asked.flatMap({ Redirection(message, asked: $0) }) {
                let sign = redirection.isAsking ? Sign.none : .look(trusting: redirection.address)
                guard !hasFollowed else { return (later, sign) }
                hasFollowed = true
                return (.follow(redirection), sign)
            }
            if error.lacksFunction || ClusterAttempts.passing.contains(where: message.hasPrefix) {
                return (later, .none)
            }
            if ClusterAttempts.outdated.contains(where: message.hasPrefix) { return (later, .look(trusting: nil)) }
            return (.fail, .none)
        }
    }

    /// It goes to the owner of its partition once more.
    package mutating func tryAgain() {
        hasFollowed = false
    }
}
