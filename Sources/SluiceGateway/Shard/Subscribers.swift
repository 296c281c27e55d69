// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// The streams of one shard that listen to one target: dense, because every event walks them.
package final class Subscribers<Member: AnyObject> {
    package let target: Target
    package let partition: Partition
    /// nil until the hub has answered.
    package var number: TargetNumber?
    package var feed: TargetFeed
    package private(set) var streams: ContiguousArray<Member> = []

    package init(target: Target, partition: Partition = .first) {
        self.target = target
        self.partition = partition
        feed = TargetFeed(of: target)
    }

    /// - Returns: the place of the stream, which it must keep for `remove`.
    package func add(_ stream: Member) -> Int32 {
        streams.append(stream)
        return Int32(streams.count - 1)
    }

    /// - Returns: the stream that has moved into the place that became free.
    package func remove(at place: Int32) -> Member? {
        guard let last = streams.popLast(), Int(place) < streams.count else { return nil }
        streams[Int(place)] = last
        return last
    }
}

@available(*, unavailable)
extension Subscribers: Sendable {}
