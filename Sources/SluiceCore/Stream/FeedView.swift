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
    /// nil: nothing was read of the data set yet.
    private var lineages: [Lineage?]

    /// - Parameter partitions: how many the broker has.
    package init(ringBytes: Int, partitions: Int = 1) {
        ring = Ring(sizeMax: ringBytes, partitions: partitions)
        clocks = Cut(.zero, count: partitions)
        newest = Cut(.zero, count: partitions)
        births = Array(repeating: 0, count: partitions)
        lineages = Array(repeating: nil, count: partitions)
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
    package mutating func learn(_ lineage: Lineage, in partition: Partition = .first) -> Bool {
        defer { lineages[partition.index] = lineage }
        return lineages[partition.index] != lineage
    }

    /// Whether it is known which run of the data set gave out this id.
    func knowsRun(of id: EventID, in partition: Partition) -> Bool {
        lineages[partition.index].map { $0.isEmpty || id.isOnlyTime || $0.run(of: id) != nil } ?? false
    }

    /// From where on the data set had ids of its own while another server gave out this one; nil: none did.
    func rivalBegan(to id: EventID, in partition: Partition) -> EventID? {
        lineages[partition.index]?.rivalBegan(to: id)
    }

    /// An event with this id was published, but does not come.
    package mutating func pass(_ id: EventID, in partition: Partition = .first) {
        newest.raise(partition, to: id)
    }
}
