// SPDX-License-Identifier: Apache-2.0

/// What one shard has of the node's feed: the newest batches, and up to where nothing is missing.
package struct FeedView {
    package private(set) var ring: Ring
    /// The newest readings of the broker's clocks: every event with an id up to its partition's has been processed. No event
    /// moves them, so they are what streams are told as their place.
    package private(set) var clocks: Cut
    /// The highest ids of the events that came, or the clocks.
    package private(set) var newest: Cut
    /// When each partition's data set began, in milliseconds since 1970; 0: not known yet.
    private var births: [UInt64]
    /// Newest last.
    private var doubts: [[Doubt]]

    private static let doubtsMax = 16

    /// - Parameter partitions: how many the broker has.
    package init(ringBytes: Int, partitions: Int = 1) {
        ring = Ring(sizeMax: ringBytes, partitions: partitions)
        clocks = Cut(.zero, count: partitions)
        newest = Cut(.zero, count: partitions)
        births = Array(repeating: 0, count: partitions)
        doubts = Array(repeating: [], count: partitions)
    }

    package func clock(of partition: Partition = .first) -> EventID { clocks[partition] }

    package func born(in partition: Partition = .first) -> UInt64 { births[partition.index] }

    /// - Parameter drop: is told each batch that leaves the ring.
    package mutating func append(_ batch: Batch, drop: (Batch) -> Void) {
        ring.append(batch, drop: drop)
        newest.raise(to: batch.cut)
    }

    /// A reading of a partition's clock came through the feed.
    package mutating func read(clock reading: EventID, of partition: Partition = .first) {
        clocks.raise(partition, to: reading)
        newest.raise(partition, to: reading)
    }

    /// - Returns: whether the data set has gone back to an older state.
    package mutating func learn(born: UInt64, in partition: Partition = .first) -> Bool {
        let old = births[partition.index]
        births[partition.index] = born
        return old != 0 && born != old
    }

    /// - Returns: whether that is news.
    package mutating func learn(_ doubt: Doubt, in partition: Partition = .first) -> Bool {
        guard !doubts[partition.index].contains(doubt) else { return false }
        doubts[partition.index] = doubts[partition.index].suffix(FeedView.doubtsMax - 1) + [doubt]
        return true
    }

    /// The one that reaches back furthest; nil: who comes with this cursor lacks nothing that can't be found.
    func doubt(of cursor: EventID, in partition: Partition) -> Doubt? {
        doubts[partition.index].filter { $0.contains(cursor) }.min { $0.after < $1.after }
    }

    /// An event with this id was published, but does not come.
    package mutating func pass(_ id: EventID, in partition: Partition = .first) {
        newest.raise(partition, to: id)
    }
}
