// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// The streams of one shard that listen to one target: dense, because every event walks them.
package final class Subscribers {
    package let target: Target
    /// nil until the hub has answered.
    package var number: TargetNumber?
    /// What the hub has said of the target.
    package var coverage = Coverage.unknown
    package var end = End.unknown
    /// Live-only events before this position of the feed have left the ring.
    package var liveOnlyDropped: UInt64 = 0
    package private(set) var streams: ContiguousArray<Stream> = []

    package var isConfirmed: Bool { coverage.isConfirmed }
    package var since: EventID? { coverage.since }

    /// Whether the topic is over.
    package enum End: Equatable {
        case unknown
        case open
        /// Closed by the event with this id.
        case ended(EventID)
    }

    package init(target: Target) {
        self.target = target
    }

    /// - Returns: the place of the stream, which it must keep for `remove`.
    package func add(_ stream: Stream) -> Int32 {
        streams.append(stream)
        return Int32(streams.count - 1)
    }

    /// The last stream moves into the place that becomes free.
    package func remove(at place: Int32) {
        guard let last = streams.popLast() else { return }
        guard Int(place) < streams.count else { return }
        streams[Int(place)] = last
        last.moved(in: self, to: place)
    }
}

@available(*, unavailable)
extension Subscribers: Sendable {}
