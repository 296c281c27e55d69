// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// What a publisher asks for: one event for one target.
package struct Publication: Sendable {
    /// How long the log keeps its events. nil: what the Redis function has as its standard.
    package struct Retention: Equatable, Sendable {
        /// How many events.
        package var maxlen: Int?
        /// How long after the newest, in seconds.
        package var ttl: Int?

        package init(maxlen: Int? = nil, ttl: Int? = nil) {
            self.maxlen = maxlen
            self.ttl = ttl
        }
    }

    package var target: Target
    package var event: Event
    /// nil: the event is live only, without an id.
    package var retention: Retention?
    /// The same token within five minutes publishes nothing and returns the first result.
    package var once: String?
    /// The publisher wants to know whether so many replicas have it; nil: it does not ask.
    package var replicas: Int?
    /// Where it belongs in its publisher's trace.
    package var trace: TraceParent?

    package static let maxlenRange = 1...1_000_000
    package static let ttlRange = 1...604_800
    package static let replicasRange = 1...100
    /// Longest data of a logged event, in bytes: the Redis function refuses more.
    package static let dataBytesMax = 1_048_576
    /// What Redis needs for one event beside its data, about: an entry, and for a new log its name, its marker and their ends.
    package static let overheadBytes = 1024

    /// What it makes Redis take and keep, in bytes, about.
    package var bytes: Int { event.data.readableBytes + Publication.overheadBytes }

    package init(
        _ event: Event, to target: Target, retention: Retention? = Retention(), once: String? = nil,
        replicas: Int? = nil, trace: TraceParent? = nil
    ) {
        self.target = target
        self.event = event
        self.retention = retention
        self.once = once
        self.replicas = replicas
        self.trace = trace
    }
}

/// What a publisher is told.
package struct Receipt: Equatable, Sendable {
    /// nil for an event that is live only.
    package var id: EventID?
    /// How many nodes heard it; 0: nobody is listening anywhere.
    package var nodes: Int
    /// How many replicas have it; nil: nobody has asked.
    package var replicas: Int?

    package init(id: EventID?, nodes: Int, replicas: Int? = nil) {
        self.id = id
        self.nodes = nodes
        self.replicas = replicas
    }
}
