// SPDX-License-Identifier: Apache-2.0

/// What one shard knows of one target: from where on it hears everything, whether the topic is over, and which events
/// that no log can bring back have left the ring.
package struct TargetFeed {
    /// Whether the topic is over.
    package enum End: Equatable, Sendable {
        case unknown
        case open
        /// Closed by the event with this id.
        case ended(EventID)

        var isEnded: Bool {
            if case .ended = self { true } else { false }
        }
    }

    /// What the hub has said of the target.
    package var coverage = Coverage.unknown
    package private(set) var end = End.unknown
    /// Live-only events before this position of the feed have left the ring.
    private var liveOnlyDropped: UInt64 = 0
    /// Late events before this position have left the ring …
    private var lateDropped: UInt64 = 0
    /// … the lowest of which had this id.
    private var lateLowest = EventID.max

    /// Clients have no end, nor has what is published to everybody, whatever an event says.
    private let mayEnd: Bool

    package init(of target: Target) {
        mayEnd = target.kind == .topic
    }

    package var isConfirmed: Bool { coverage.isConfirmed }
    package var since: EventID? { coverage.since }

    // MARK: The end

    /// - Returns: whether the topic is over now; nil: that has not changed.
    package mutating func receive(_ group: Batch.Group) -> Bool? {
        group.last > .zero ? become(group.ends ? .ended(group.last) : .open) : nil
    }

    /// The log's marker says whether the topic is over. What came through the feed is newer.
    ///
    /// - Returns: as for `receive`.
    package mutating func learn(_ marker: LogMarker?) -> Bool? {
        guard end == .unknown else { return nil }
        return become(marker.map { $0.ends ? .ended($0.id) : .open } ?? .open)
    }

    /// The topic was closed by an event that does not come.
    ///
    /// - Returns: as for `receive`.
    package mutating func end(by id: EventID) -> Bool? {
        become(.ended(id))
    }

    private mutating func become(_ new: End) -> Bool? {
        guard mayEnd else { return nil }
        let was = end.isEnded
        end = new
        return new.isEnded == was ? nil : new.isEnded
    }

    // MARK: What the ring has let go of

    /// A batch with events of this target has left the ring.
    package mutating func drop(_ group: Batch.Group, of batch: Batch) {
        if group.hasLiveOnly { liveOnlyDropped = batch.end }
        guard group.hasLate else { return }
        lateDropped = batch.end
        batch.visit(group) { index in
            if batch.entries[Int(index)].isLate { lateLowest = min(lateLowest, batch.entries[Int(index)].id) }
        }
    }

    /// Whether a stream that the ring has passed has lost something of this target that its log does not tell: a
    /// live-only event, or a late one that lies before what the stream has had.
    ///
    /// - Parameters:
    ///   - position: where the stream stood in the ring.
    ///   - floor: from here on it reads the log.
    package func isLost(from position: UInt64, floor: EventID) -> Bool {
        liveOnlyDropped > position || (lateDropped > position && lateLowest <= floor)
    }
}
