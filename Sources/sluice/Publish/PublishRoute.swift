// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// What every event of one `sluice publish` has in common. nil: as Redis or the node has it set.
struct PublishPlan: Sendable {
    var target: Target
    var type: String?
    var key: String?
    var isLogged = true
    var maxlen: Int?
    var ttlSeconds: Int?
}

/// One event on its way.
struct OutgoingEvent: Sendable {
    var data: ByteBuffer
    var ends = false
    var once: String?
}

/// A way to publish: through Redis, or through a node's HTTP.
protocol PublishRoute: Sendable {
    /// Publishes in order, all at once on the wire, and tells of each what became of it.
    func publish(_ events: [OutgoingEvent]) async -> [Result<Receipt, Failure>]
    func close() async
}
