// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// What the driver of a ``FeedMachine`` has to do, in this order.
package enum FeedAction {
    /// A message that was held back, and whose turn has come.
    case deliver(Envelope, ByteBuffer, for: TargetNumber)
    /// An event that a repair has read from its log.
    case replay(LogSegment.Entry, in: LogSegment, for: TargetNumber)
    /// Lost for good, for everyone who listens to it. `id`: may be carried.
    case gap(Gap, id: EventID?)
    /// The data set has lost what it had. Streams that were read to from it lack that, and if this node had not heard it, so do
    /// those that were there. So may those that were told one of its ids after `began` before anybody knew.
    case hole(Hole, of: Target, wasHeard: Bool, began: EventID)
    /// The data set that is heard has this one. By it streams judge the cursors that their clients came with.
    case lineage(Lineage)
    /// Another data set has come back: what is being read of its logs begins anew. It has given out the ids after `began`.
    case changed(began: EventID)
    /// Call ``FeedMachine/reported(_:)``.
    case report(HeardReport)
    /// The topic was closed by an event with this id, which can't be delivered any more.
    case ended(Target, EventID)
    /// A reading of the clock: every event with an id up to this one has been delivered.
    case reading(EventID, born: UInt64)
    /// The broker is back, and which data set came back is known, if any is: streams may read its logs.
    case readable(born: UInt64)
    /// Everything of these targets with a later id comes.
    case covered([TargetNumber], since: EventID)
    /// Everything up to this reading has been repaired.
    case repaired(upTo: EventID)
    /// The feed works.
    case ready
    /// A repair begins.
    case repairing
    /// Call ``FeedMachine/markers(_:of:now:)`` or ``FeedMachine/markersFailed(_:now:)``.
    case readMarkers(MarkerRead)
    /// Call ``FeedMachine/received(_:of:now:)``.
    case readLog(FeedRead)
    /// Call ``FeedMachine/woken(_:now:)`` then, and not before the loop has turned.
    case wake(RepairAttempt, at: NIODeadline)
    /// Have the broker bring nothing of this target for so long, and call ``FeedMachine/confirmed(_:)`` once it does again.
    case pause(Target, for: TimeAmount)
    /// Call ``FeedMachine/release(now:)`` in the next turn of the loop.
    case goOn
    /// Ask the broker for a reading of the clock through the feed, with the highest one that this node knows.
    case tick(known: EventID)
    /// The feed brings nothing: begin it anew.
    case reconnect
    case complain(FeedComplaint, about: Target?)
}

/// What is wrong with what has arrived. All but `lost`, `heldTooMuch` and `paused` are events that were dropped.
package enum FeedComplaint: Equatable {
    case malformed(Envelope.Malformed)
    case future(EventID)
    /// A live-only event with so many bytes of data.
    case oversized(Int)
    case lost
    case heldTooMuch
    /// One target has brought more than ``FeedMachine/Limits/heardOfTarget``.
    case paused
}

/// Markers to be read, and what for.
package struct MarkerRead {
    enum Purpose {
        /// What was published up to this reading has arrived, or is lost.
        case audit(upTo: EventID)
        case repair(RepairAttempt)
    }

    package let targets: [Target]
    let purpose: Purpose
}

/// A piece of a log to be read for a repair.
package struct FeedRead {
    package let request: Replay.Request
    package let through: EventID
    let attempt: RepairAttempt
}
