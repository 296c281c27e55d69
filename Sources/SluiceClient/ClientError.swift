// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceWeb

/// Why something was not done, and whether it helps to try again.
public struct ClientError: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Kind: Equatable, Sendable {
        /// It was not done, and trying again would bring the same.
        case refused
        /// It was not done, for a reason that passes; `after`: how long the server asks us to wait, if it says so.
        case later(after: Duration?)
        /// The answer was lost: it may have been done. To try again is safe only with ``OutgoingEvent/once``.
        case unknown
    }

    public let kind: Kind
    /// What went wrong, in a few words for a person. Holds no token and no password.
    public let description: String

    package init(_ description: String, _ kind: Kind = .refused) {
        self.kind = kind
        self.description = description
    }

    /// An error of the network in the words that a person would use.
    package init(_ context: String, _ error: any Error, _ kind: Kind = .refused) {
        self.init("\(context): \(NetworkError.reason(error))", kind)
    }
}
