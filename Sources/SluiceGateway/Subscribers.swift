// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// The streams of one shard that listen to one target: dense, because every event walks them.
package final class Subscribers {
    package let target: Target
    /// nil until the hub has answered.
    package var number: TargetNumber?
    /// What is published from now on arrives.
    package var isConfirmed = false
    package private(set) var streams: ContiguousArray<Stream> = []

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
