// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// What became of one event.
enum PublishResult: Sendable {
    case published(Receipt)
    /// Not published, and never will be.
    case refused(Failure)
    /// Not published, for a reason that passes; after this time, if the server has said one.
    case later(Failure, after: TimeAmount?)
    /// The answer was lost: it may have been published.
    case unknown(Failure)

    var isPublished: Bool { if case .published = self { true } else { false } }

    /// - Throws: ``Failure``.
    var receipt: Receipt {
        get throws {
            switch self {
            case .published(let receipt): return receipt
            case .refused(let failure), .later(let failure, _), .unknown(let failure): throw failure
            }
        }
    }
}

/// A way to publish: through Redis, or through a node's HTTP.
protocol PublishRoute: Sendable {
    /// Publishes in order, all at once on the wire, and tells of each what became of it.
    func publish(_ publications: [Publication]) async -> [PublishResult]
    func close() async
}
