// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// An event to be published, before anyone has chosen the retention that it leaves open.
struct OutgoingEvent: Sendable {
    var target: Target
    var data = ByteBuffer()
    var type: String?
    var key: String?
    var ends = false
    var isLogged = true
    var maxlen: Int?
    var ttl: Int?
    var once: String?
}

/// Where events are handed in.
protocol EventPublisher: Sendable {
    /// Publishes in this order, all at once; a result for each, up to a failure of the way there.
    ///
    /// - Throws: if nothing could be sent.
    func publish(_ events: [OutgoingEvent]) async throws -> [Result<Receipt, any Error>]
}

/// Why an event was not published, in words for a person.
struct PublishRefused: Error, CustomStringConvertible {
    let description: String
}
