// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// One target that some shard of this node listens to, and what the feed has brought of it.
///
/// A class, so that an event costs one look into the table. The machine that owns it can't be copied.
final class Interest {
    private static let straysMax = 8
    /// Whoever may publish to the target can tell of holes that never were; the broker keeps fewer.
    private static let holesMax = 16

    let target: Target
    let number: TargetNumber
    /// The shards that listen.
    var shards: Set<Int> = []
    var coverage = Coverage.unknown
    /// The newest event that arrived.
    private(set) var last = EventID.zero
    /// It has closed the topic.
    private(set) var lastEnds = false
    /// The newest event that was read from its log, for whomever.
    private(set) var newestRead = EventID.zero
    private(set) var newestReadEnds = false
    /// nil: the data set has everything of it, or none was before.
    var heard: HeardBefore?
    /// Events that its log seems to lack, though it has come from the same data set.
    private(set) var strays: [EventID] = []
    /// What was known when a hole was told before what had come before it.
    private var beforeHole: EventID?
    /// The holes that are known, the last ones that were told; nil: its marker was not read yet.
    private var holes: [Hole]?
    /// Holes of which it was found out what they lack, the last ones.
    private var explained: [Hole] = []
    /// The repair reads the log from here on; nil: from what is known on.
    var rereadAfter: EventID?
    /// What is lost up to here was told: it is not looked for again.
    private(set) var lostUpTo = EventID.zero
    /// This target alone is being repaired, and what arrives of it is held back.
    var repair: TargetRepair?
    /// nil: nothing has come yet, or there is no limit.
    var hearing: Hearing?
    /// Its log is not read for a repair of this target alone before then.
    var nextRepair = NIODeadline.uptimeNanoseconds(0)
    /// Repairs have brought what there was between these, since the connection is up: the feed may still bring the same.
    private var repaired: (after: EventID, upTo: EventID)?

    init(target: Target, number: TargetNumber) {
        self.target = target
        self.number = number
    }

    /// An event whose predecessor is later than this has come after one that was lost, and a repair begins here; nil: not
    /// known yet.
    ///
    /// A reading of the clock counts only until the first event has arrived or is told as lost: it does not say whether
    /// an earlier event was lost in silence, or is held back.
    var known: EventID? { arrived > .zero ? arrived : beforeHole ?? coverage.since }

    /// Everything up to this id has been delivered or told as lost.
    var arrived: EventID { max(last, lostUpTo) }

    /// Too much came of it: the node does not listen to it for a while.
    var isPaused: Bool { hearing?.isPaused ?? false }

    /// Strays and holes that it remembers.
    var claims: Int { strays.count + (holes?.count ?? 0) + explained.count }

    func arrived(_ id: EventID, ends: Bool) {
        guard id > last else { return }
        last = id
        lastEnds = ends
    }

    /// The log has this event.
    func read(_ id: EventID, ends: Bool) {
        guard id > newestRead else { return }
        newestRead = id
        newestReadEnds = ends
    }

    /// The newest event that the feed, or a repair, has brought.
    var heardLast: HeardEvent? { last > .zero ? HeardEvent(target, last, ends: lastEnds) : nil }

    /// The newest event that was read from its log.
    var readLast: HeardEvent? {
        newestRead > .zero ? HeardEvent(target, newestRead, ends: newestReadEnds) : nil
    }

    func lost(upTo id: EventID) {
        lostUpTo = max(lostUpTo, id)
        coverage.lose(upTo: id)
    }

    func strays(_ id: EventID) {
        strays = strays.suffix(Interest.straysMax - 1) + [id]
    }

    /// Its marker was read before.
    var knowsHoles: Bool { holes != nil }

    /// Its marker was read.
    ///
    /// - Returns: holes that have come up since it was read before, and of which nobody has told.
    func learn(_ holes: [Hole], isNew: Bool) -> [Hole] {
        let holes = holes.suffix(Interest.holesMax)
        defer { self.holes = Array(holes) }
        guard let known = self.holes ?? (isNew ? [] : nil) else { return [] }
        return holes.filter { hole in !known.contains { Interest.isSame($0, hole) } }
    }

    /// Its marker has shown this one, or another node has told it.
    func knows(_ hole: Hole) -> Bool { holes?.contains { Interest.isSame($0, hole) } ?? false }

    /// Another node may have found out that it begins earlier.
    private static func isSame(_ known: Hole, _ hole: Hole) -> Bool {
        known.upTo == hole.upTo && known.after <= hole.after
    }

    /// Somebody has told of a hole.
    func learn(_ hole: Hole) {
        holes = holes.map { $0.suffix(Interest.holesMax - 1) + [hole] }
    }

    /// The hole with what it lacks, if that was found out before.
    func explained(_ hole: Hole) -> Hole? { explained.first { $0.upTo == hole.upTo && $0.after == hole.after } }

    func explain(_ hole: Hole) {
        explained = explained.suffix(Interest.holesMax - 1) + [hole]
    }

    /// What came before the hole may still be missing, and come.
    func lost(_ hole: Hole) {
        guard let known, known < hole.from else { return lost(upTo: hole.upTo) }
        beforeHole = known
        coverage.lose(upTo: hole.upTo)
    }

    // MARK: What a repair brings

    func repairBegins(after start: EventID) {
        repaired = repaired ?? (start, start)
    }

    /// - Returns: whether the entry is new.
    func repairBrings(_ id: EventID, ends: Bool) -> Bool {
        if id <= last {
            // Older than what came, and yet it is new: this data set has gone its own way.
            guard heard?.contains(id) == false else { return false }
        }
        // Should the repair begin anew. Later ones are among the recent events.
        if rereadAfter != nil { heard?.insert(id) }
        arrived(id, ends: ends)
        if let upTo = repaired?.upTo { repaired?.upTo = max(upTo, id) }
        return true
    }

    /// A repair has brought this event already, or one has told that it is lost.
    func isRepeated(_ id: EventID) -> Bool {
        guard let repaired else { return false }
        return id > repaired.after && id <= repaired.upTo
    }

    /// What was published up to here is gone from the logs: it is not looked for there.
    func forget(upTo id: EventID) {
        lost(upTo: id)
        repaired = nil
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
