// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// The streams of one shard that listen to one target: dense, because every event walks them.
package final class Subscribers {
    package let target: Target
    /// nil until the hub has answered.
    package var number: TargetNumber?
    package var feed: TargetFeed
    package private(set) var streams: ContiguousArray<Stream> = []

    package init(target: Target) {
        self.target = target
        feed = TargetFeed(of: target)
    }

    /// - Returns: the place of the stream, which it must keep for `remove`.
    package func add(_ stream: Stream) -> Int32 {
        streams.append(stream)
        return Int32(streams.count - 1)
    }

    /// The topic is over now, or has been opened again; nil: that has not changed.
    package func note(isOver: Bool?) {
        guard let isOver else { return }
        for stream in streams { stream.machine.topic(isOver: isOver) }
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
