// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// One target that some shard of this node listens to, and what the feed has brought of it.
final class Interest {
    let target: Target
    let number: TargetNumber
    var shards: Set<Int> = []
    var isConfirmed = false
    /// Every event with a later id has arrived, or will; nil until a reading of the clock has come after the confirmation.
    var since: EventID?
    /// The newest event that arrived.
    var last = EventID.zero
    /// What is lost up to here was told: it is not looked for again.
    var lostUpTo = EventID.zero
    /// Its log is not read for a repair of this target alone before then.
    var nextRepair = NIODeadline.uptimeNanoseconds(0)

    init(target: Target, number: TargetNumber) {
        self.target = target
        self.number = number
    }

    /// An event whose predecessor is later than this has come after one that was lost; nil: not known yet.
    ///
    /// The newest event that arrived, if there is one: a reading of the clock does not tell whether one before it
    /// was lost in silence.
    var known: EventID? {
        let seen = max(last, lostUpTo)
        return last > .zero ? seen : since.map { max($0, seen) } ?? (seen > .zero ? seen : nil)
    }

    /// After this id a shard that begins to listen has all events of the feed.
    var covered: EventID? { since.map { max($0, lostUpTo) } }
}

@available(*, unavailable)
extension Interest: Sendable {}
