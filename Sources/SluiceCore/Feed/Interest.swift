// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// One target that some shard of this node listens to, and what the feed has brought of it.
///
/// A class, so that an event costs one look into the table. The machine that owns it can't be copied.
final class Interest {
    let target: Target
    let number: TargetNumber
    /// The shards that listen.
    var shards: Set<Int> = []
    var coverage = Coverage.unknown
    /// The newest event that arrived.
    private(set) var last = EventID.zero
    /// What is lost up to here was told: it is not looked for again.
    private(set) var lostUpTo = EventID.zero
    /// Something is missing behind this id. Outlives the connection: the next repair begins here.
    var hole: EventID?
    /// This target alone is being repaired, and what arrives of it is held back.
    var repair: TargetRepair?
    /// Its log is not read for a repair of this target alone before then.
    var nextRepair = NIODeadline.uptimeNanoseconds(0)
    /// A repair has brought everything of the log between these: the feed may still bring the same.
    private var repaired: (after: EventID, upTo: EventID)?

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
        if last > .zero { return seen }
        if let since = coverage.since { return max(since, seen) }
        return seen > .zero ? seen : nil
    }

    /// Everything up to this id has been delivered or told as lost.
    var arrived: EventID { max(last, lostUpTo) }

    func arrived(_ id: EventID) {
        last = max(last, id)
    }

    func lost(upTo id: EventID) {
        lostUpTo = max(lostUpTo, id)
        coverage.lose(upTo: id)
    }

    /// Where a repair of the whole feed begins for this target, if everything up to `reading` has been delivered of
    /// all others: a connection brings the events of a target in their order.
    func start(after reading: EventID) -> EventID {
        max(min(reading, hole ?? reading), last)
    }

    // MARK: What a repair brings

    func repairBegins(after start: EventID, heard: EventID) {
        if let repaired, repaired.upTo > heard { return }
        repaired = (start, start)
    }

    /// - Returns: whether the entry is new.
    func repairBrings(_ id: EventID) -> Bool {
        guard id > last else { return false }
        last = id
        repaired?.upTo = id
        return true
    }

    /// A repair has brought this event already.
    ///
    /// - Parameter heard: the last reading that came through the feed. What is earlier came before it.
    func isRepeated(_ id: EventID, heard: EventID) -> Bool {
        guard let repaired else { return false }
        return id > repaired.after && id <= repaired.upTo && repaired.upTo > heard
    }

    /// The connection is lost: what the next one brings was published after what a repair has brought so far.
    func interrupt() {
        coverage.interrupt()
        repair = nil
        repaired = nil
    }
}

@available(*, unavailable)
extension Interest: Sendable {}
