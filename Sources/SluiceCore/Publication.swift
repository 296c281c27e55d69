// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// What a publisher asks for: one event for one target.
package struct Publication: Sendable {
    package var target: Target
    package var data: ByteBuffer
    package var type: String?
    package var key: String?
    package var ends = false
    package var isLogged = true
    /// How many events the log keeps; nil: what Redis' function has as its standard, as for `ttl`.
    package var maxlen: Int?
    /// How long the log lives after its newest event, in seconds.
    package var ttl: Int?
    /// The same token within five minutes publishes nothing and returns the first result.
    package var once: String?

    package static let maxlenRange = 1...1_000_000
    package static let ttlRange = 1...604_800
    /// Longest data of a logged event, in bytes: the Redis function refuses more.
    package static let dataBytesMax = 1_048_576
    /// What Redis needs for one event beside its data, about: an entry, and for a new log its name, its marker and their ends.
    package static let overheadBytes = 1024

    /// What it makes Redis take and keep, in bytes, about.
    package var bytes: Int { data.readableBytes + Publication.overheadBytes }

    package init(target: Target, data: ByteBuffer, maxlen: Int? = nil, ttl: Int? = nil) {
        self.target = target
        self.data = data
        self.maxlen = maxlen
        self.ttl = ttl
    }
}

/// What a publisher is told.
package struct Receipt: Equatable, Sendable {
    /// nil for an event that is live only.
    package var id: EventID?
    /// How many nodes heard it; 0: nobody is listening anywhere.
    package var nodes: Int

    package init(id: EventID?, nodes: Int) {
        self.id = id
        self.nodes = nodes
    }
}
