// SPDX-License-Identifier: Apache-2.0

/// What one shard has of the node's feed: the newest batches, and up to where nothing is missing.
package struct FeedView {
    package private(set) var ring: Ring
    /// The newest reading of the broker's clock: every event with an id up to this one has been processed. No event moves
    /// it, so it is what streams are told as their place.
    package private(set) var clock = EventID.zero
    /// The highest id of the events that came, or the clock.
    package private(set) var newest = EventID.zero
    /// When the broker's data set began, in milliseconds since 1970; 0: not known yet.
    package private(set) var born: UInt64 = 0

    package init(ringBytes: Int) {
        ring = Ring(sizeMax: ringBytes)
    }

    /// - Parameter drop: is told each batch that leaves the ring.
    package mutating func append(_ batch: Batch, drop: (Batch) -> Void) {
        ring.append(batch, drop: drop)
        newest = max(newest, batch.clock)
    }

    /// A reading of the clock came through the feed.
    package mutating func read(clock reading: EventID) {
        clock = max(clock, reading)
        newest = max(newest, reading)
    }

    /// - Returns: whether the data set has gone back to an older state.
    package mutating func learn(born: UInt64) -> Bool {
        defer { self.born = born }
        return self.born != 0 && born != self.born
    }

    /// An event with this id was published, but does not come.
    package mutating func pass(_ id: EventID) {
        newest = max(newest, id)
    }
}
