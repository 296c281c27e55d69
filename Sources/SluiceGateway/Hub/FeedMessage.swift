// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// What the hub tells each shard, in the order of the feed.
package enum FeedMessage: Sendable {
    case batch(Batch)
    /// Every event of a partition with an id up to this one has been delivered; the data set's birth. Nothing that an event
    /// says moves it.
    case clock(EventID, born: UInt64, of: Partition)
    /// Another data set may have come back: this is its birth.
    case born(UInt64, in: Partition)
    case listening(Target, TargetNumber, Coverage)
    case confirmed(Target)
    /// A reading of the clock, which came before this, covers these targets of one partition.
    case covered([TargetNumber], since: EventID)
    /// Lost for good, for everyone who listens to these targets of one partition.
    case gap(Gap, id: EventID?, in: Partition)
    /// The data set has lost it. `wasHeard`: this node has had it, and so has whoever was there. `began`: the data set
    /// that lacks it has given out the ids after this one.
    case hole(Hole, of: Target, wasHeard: Bool, began: EventID, in: Partition)
    /// Of the data set that is heard.
    case lineage(Lineage, in: Partition)
    /// Another data set has come back, which has given out the ids after `began`.
    case changed(began: EventID, in: Partition)
    /// The topic was closed by an event with this id, which can't be delivered any more.
    case ended(Target, EventID)
    case disconnect(Disconnect)
    case pause(Pause, until: UInt64)
    /// Other nodes have room for that part of its streams.
    case rebalance(share: Double)
    /// Somebody wants to know how many streams listen to these.
    case count(StreamCount.Question)
}
