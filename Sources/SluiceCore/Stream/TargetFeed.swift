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
    /// Late events that have left the ring, oldest first; of long ago several are one.
    private var lateDropped: [LateEvents] = []
    private static let lateMax = 16

    /// Late events, all of them before this position of the feed.
    private struct LateEvents {
        var end: UInt64
        var lowest: EventID
        var highest: EventID
    }

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
        var late = LateEvents(end: batch.end, lowest: .max, highest: .zero)
        batch.visit(group) { index in
            let entry = batch.entries[Int(index)]
            guard entry.isLate else { return }
            late.lowest = min(late.lowest, entry.id)
            late.highest = max(late.highest, entry.id)
        }
        lateDropped.append(late)
        guard lateDropped.count > TargetFeed.lateMax else { return }
        let oldest = lateDropped.removeFirst()
        lateDropped[0].lowest = min(lateDropped[0].lowest, oldest.lowest)
        lateDropped[0].highest = max(lateDropped[0].highest, oldest.highest)
    }

    /// Whether a stream that the ring has passed has lost something of this target that its log does not tell: a
    /// live-only event, or a late one that it has not had another way.
    ///
    /// - Parameters:
    ///   - position: where the stream stood in the ring.
    ///   - lacks: whether it may lack a late event between these two ids.
    package func isLost(from position: UInt64, lacks: (EventID, EventID) -> Bool) -> Bool {
        liveOnlyDropped > position || lateDropped.contains { $0.end > position && lacks($0.lowest, $0.highest) }
    }
}
