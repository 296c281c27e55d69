// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// One event to publish.
public struct OutgoingEvent: Sendable {
    public enum Destination: Sendable {
        case topic(String)
        /// The streams of one client.
        case client(String)
        /// Every stream on every node.
        case all
    }

    /// What can't be published, and which part of it is at fault.
    public struct Invalid: Error, Sendable, CustomStringConvertible {
        public enum Part: String, Sendable {
            case topic
            case client
            case event
            case key
            case once
            case maxlen
            case ttl
            case replicas
        }

        public let part: Part
        public let problem: String

        public var description: String { "\(part) \(problem)" }
    }

    public var destination: Destination
    public var data: String
    /// What `addEventListener` names in a browser; nil: `message`.
    public var type: String?
    /// Conflation key: a later event with the same key makes this one superfluous.
    public var key: String?
    /// The event closes its topic.
    public var ends: Bool
    /// Without the log an event has no id, and is gone for whoever is not connected.
    public var isLogged: Bool
    /// How many events the log keeps, 1 to 1,000,000; nil: as many as the nodes are set to.
    public var maxlen: Int?
    /// How long the log lives after its newest event, in whole seconds up to a week; nil: as the nodes are set to.
    public var ttl: Duration?
    /// The same token within five minutes publishes nothing and gets the first receipt, so that it is safe to try again.
    public var once: String?
    /// Waits a second at most until so many replicas of Redis have it, and the receipt says how many do; nil: does not ask.
    public var replicas: Int?

    public init(
        _ data: String, to destination: Destination, type: String? = nil, key: String? = nil, ends: Bool = false,
        isLogged: Bool = true, maxlen: Int? = nil, ttl: Duration? = nil, once: String? = nil,
        replicas: Int? = nil
    ) {
        (self.destination, self.data, self.type, self.key, self.ends) = (destination, data, type, key, ends)
        (self.isLogged, self.maxlen, self.ttl, self.once, self.replicas) = (isLogged, maxlen, ttl, once, replicas)
    }

    package func publication() throws(Invalid) -> Publication {
        func check(_ part: Invalid.Part, _ problem: String?) throws(Invalid) {
            if let problem { throw Invalid(part: part, problem: problem) }
        }
        let target = try target()
        try check(.event, type.flatMap { EventLabel.problem(type: $0) })
        try check(.key, key.flatMap { EventLabel.problem(key: $0) })
        try check(.once, once.flatMap { EventLabel.problem(key: $0) })
        let maxlens = Publication.maxlenRange
        try check(.maxlen, maxlens.contains(maxlen ?? 1) ? nil : "takes 1 to \(maxlens.upperBound)")
        let (seconds, rest) = (ttl ?? .seconds(1)).components
        let isTTL = rest == 0 && Publication.ttlRange.contains(Int(seconds))
        try check(.ttl, isTTL ? nil : "takes whole seconds, from 1s to 168h")
        let replicasMax = Publication.replicasRange.upperBound
        let isReplicas = Publication.replicasRange.contains(replicas ?? 1)
        try check(.replicas, isReplicas ? nil : "takes 1 to \(replicasMax)")
        try check(.replicas, replicas == nil || isLogged ? nil : "needs the log")
        let retention = Publication.Retention(maxlen: maxlen, ttl: ttl.map { _ in Int(seconds) })
        return Publication(
            Event(ByteBuffer(string: data), type: type, key: key, ends: ends), to: target,
            retention: isLogged ? retention : nil, once: once, replicas: replicas)
    }

    private func target() throws(Invalid) -> Target {
        switch destination {
        case .topic(let name):
            do { return try .topic(name) } catch { throw Invalid(part: .topic, problem: "\(error)") }
        case .client(let name):
            do { return try .client(name) } catch { throw Invalid(part: .client, problem: "\(error)") }
        case .all: return .all
        }
    }
}
