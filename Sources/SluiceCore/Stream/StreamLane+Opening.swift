// SPDX-License-Identifier: Apache-2.0

/// How a lane begins: its targets are confirmed by the broker; then its starting point is known, or read; then what lies between
/// its cursor and the ring is read from the logs, or it reads the ring at once.
extension StreamLane {
    /// So often the ring may pass a lane while late events are to come.
    private static let rereadMax = 32

    /// Another of its targets is not confirmed yet.
    mutating func waits() {
        guard let behind, case .confirming(let left) = behind.stage else {
            preconditionFailure("waits for a target in \(phase)")
        }
        behind.stage = .confirming(left + 1)
    }

    /// One of the targets for which it waits is confirmed, or, once, all were named. May race with the end.
    mutating func confirmed() {
        guard let behind else {
            precondition(isEnded, "confirmed in \(phase)")
            return
        }
        guard case .confirming(let left) = behind.stage, left > 0 else { preconditionFailure("confirmed in \(phase)") }
        behind.stage = .confirming(left - 1)
    }

    /// All targets are confirmed.
    var isConfirmed: Bool {
        if case .confirming(0) = behind?.stage { true } else { false }
    }

    var isAwaitingReading: Bool {
        if case .awaitingReading = behind?.stage { true } else { false }
    }

    var isReady: Bool {
        if case .ready = behind?.stage { true } else { false }
    }

    /// Not one of its targets can bring anything yet.
    var isWaiting: Bool {
        switch behind?.stage {
        case .confirming, .awaitingReading: true
        default: false
        }
    }

    /// All targets are confirmed: what comes from here on is its own, as soon as it is known after which id.
    ///
    /// - Parameters:
    ///   - replayBytes: what a replay may hold.
    ///   - all: of all partitions.
    mutating func prepare(
        _ feed: borrowing FeedView, _ targets: StreamTargets.Part, _ all: StreamTargets, replayBytes: Int
    ) {
        guard let behind, case .confirming(0) = behind.stage else { preconditionFailure("begins in \(phase)") }
        behind.liveFrom = feed.ring.end
        behind.newest = feed.newest[partition]
        if needsReading(behind.resume, feed, targets, mayEnd: all.mayEnd) {
            behind.stage = .awaitingReading(feed.ring.end)
        } else {
            behind.stage = .ready(beginning(behind, after: nil, feed, targets, all, replayBytes: replayBytes))
        }
    }

    /// Whether the broker has to be asked, or the shard knows all that the lane needs.
    private func needsReading(
        _ resume: Resume, _ feed: borrowing FeedView, _ targets: StreamTargets.Part, mayEnd: Bool
    ) -> Bool {
        let clock = feed.clock(of: partition)
        if clock == .zero || feed.born(in: partition) == 0 { return true }
        switch resume {
        case .after(let cursor) where !isUnknown(in: cursor):
            let place = cursor.cut[partition]
            if place > clock || !feed.knowsRun(of: place, in: partition) { return true }
        // It begins now. The last reading is too old for that, and the id of an event since then may be forged: Redis is asked.
        case .fresh, .malformed, .after: if feed.newest[partition] > clock { return true }
        case .earliest, .available: break
        }
        guard let since = targets.since, since <= clock else { return true }
        return mayEnd && !targets.areEndsKnown
    }

    /// A reading of the clock came, which was made after the confirmations.
    mutating func received(
        reading: EventID, _ feed: borrowing FeedView, _ targets: StreamTargets.Part, _ all: StreamTargets,
        replayBytes: Int
    ) {
        guard let behind, case .awaitingReading = behind.stage else { preconditionFailure("a reading in \(phase)") }
        behind.stage = .ready(beginning(behind, after: reading, feed, targets, all, replayBytes: replayBytes))
    }

    /// - Parameter reading: nil: none is needed.
    private func beginning(
        _ behind: Behind, after reading: EventID?, _ feed: borrowing FeedView, _ targets: StreamTargets.Part,
        _ all: StreamTargets, replayBytes: Int
    ) -> Behind.Beginning {
        let latest = reading ?? feed.clock(of: partition)
        let from: Replay.Start
        switch behind.resume {
        case .after(let cursor) where cursor.cut[partition] <= latest && !isUnknown(in: cursor):
            from = .after(cursor.cut[partition])
        case .earliest: from = .earliest
        case .available: from = .available
        case .fresh, .malformed, .after:
            let gap = Gap(from: nil, to: latest, targets: targets.names)
            var isUnknown = false
            if case .after(let cursor) = behind.resume { isUnknown = self.isUnknown(in: cursor) }
            return Behind.Beginning(
                kind: behind.resume == .fresh ? .now : .uncertain(gap), floor: latest, start: latest,
                stage: .reading(behind.liveFrom), mayLack: isUnknown)
        }
        let covered = covered(feed, targets)
        var cursor = EventID.zero
        if case .after(let id) = from { cursor = id }
        let mayLack = from != .after(cursor)
        if reading == nil, !mayLack, cursor >= covered,
            let place = feed.ring.position(after: cursor, of: partition)
        {
            return Behind.Beginning(
                kind: .resumed, floor: cursor, start: cursor, stage: .reading(place), mayLack: false)
        }
        var position = behind.liveFrom
        if reading == nil { position = feed.ring.position(after: covered, of: partition) ?? position }
        var names = targets.names
        // Of what goes to everybody only where nothing else was asked for.
        if from == .earliest || from == .available, !all.isOnlyAll { names.removeAll { $0 == .all } }
        // Late events up to the mark are among what the logs have.
        let mark = reading ?? covered
        let run = replay(
            names, from: from, through: mark, at: position, feed, bytes: replayBytes,
            newest: position == behind.liveFrom ? behind.newest : .zero)
        return Behind.Beginning(kind: .resumed, floor: cursor, start: mark, stage: .replaying(run), mayLack: mayLack)
    }

    /// If all topics of the stream are over: whether the client has all that it asks for.
    func hasAll(_ targets: StreamTargets.Part, _ feed: borrowing FeedView) -> Bool {
        guard case .ready(let beginning) = behind?.stage, !beginning.mayLack else { return false }
        guard case .resumed = beginning.kind else { return true }
        // Another server's place is beyond an end that the client may never have seen.
        return beginning.floor >= targets.end && feed.rivalBegan(to: beginning.floor, in: partition) == nil
    }

    mutating func begin() -> Behind.Beginning.Kind {
        guard let behind, case .ready(let beginning) = behind.stage else { preconditionFailure("starts in \(phase)") }
        floor = beginning.floor
        start = beginning.start
        if case .resumed = beginning.kind {
            cameWith = beginning.floor
            earliestStart = beginning.floor
        }
        behind.stage = beginning.stage
        if let run { reads(run) }
        behind.forgetOwed(upTo: beginning.start)
        return beginning.kind
    }

    /// The node that made the cursor knew nothing of the partition.
    private func isUnknown(in cursor: Cursor) -> Bool {
        cursor.cut.count > 1 && cursor.cut[partition] == .zero
    }

    /// After this id the ring has all events of all targets of the lane.
    private func covered(_ feed: borrowing FeedView, _ targets: StreamTargets.Part) -> EventID {
        let clock = feed.clock(of: partition)
        return max(feed.ring.dropped(of: partition), min(targets.since ?? clock, clock))
    }

    private func replay(
        _ targets: [Target], from start: Replay.Start, through mark: EventID, at position: UInt64,
        _ feed: borrowing FeedView, bytes: Int, newest: EventID, suspected: Gap? = nil
    ) -> Replaying {
        let born = feed.born(in: partition)
        // Of what was before the data set's birth it has nothing, and two masters are not beside each other for a day.
        let earliest = max(EventID(born, 0), EventID(floor.milliseconds - min(floor.milliseconds, Replay.day), 0))
        let start = suspected?.from.map { .after(min(max($0, earliest), floor)) } ?? start
        let replay = Replay(targets: targets, from: start, through: mark, newest: newest, born: born, bytesMax: bytes)
        return Replaying(
            replay, of: targets, in: partition, at: position, hadUpTo: suspected == nil ? .zero : floor,
            suspected: suspected)
    }

    /// Another server told its client its place while the data set had ids of its own. Then the client lacks what the data set
    /// had given out before that place, which nothing else shows: its logs are read from where that began.
    ///
    /// - Parameter began: the data set has given out the ids after this one by itself.
    /// - Returns: whether to go on with `next`.
    mutating func examine(
        after began: EventID, _ feed: borrowing FeedView, _ targets: [Target], replayBytes: Int
    ) -> Bool {
        var gap = Gap(from: began, to: cameWith, targets: targets)
        var (mark, newest, position) = (cameWith, EventID.zero, feed.ring.end)
        if let run {
            (mark, newest, position) = (run.mark, run.replay.newest, run.position)
            // It is looking into that already, and from further back.
            if let other = run.suspected, let from = other.from, from < began { gap = other }
        } else if let place = self.position {
            position = place
        } else if !isLive {
            return false
        }
        let run = replay(
            targets, from: .after(floor), through: mark, at: position, feed, bytes: replayBytes, newest: newest,
            suspected: gap)
        if let behind { behind.stage = .replaying(run) } else { state = .behind(Behind(.replaying(run))) }
        return true
    }

    /// Whoever asks for what there is lacks nothing.
    private mutating func reads(_ run: Replaying) {
        var after = EventID.zero
        switch run.replay.start {
        case .available: return
        case .earliest: break
        case .after(let id): after = id
        }
        let newest = run.replay.newest
        fromLogs = Range(after: min(after, fromLogs?.after ?? after), upTo: max(newest, fromLogs?.upTo ?? newest))
    }

    /// Its head goes out before it can begin. The client takes itself for connected then, so what is published from here on
    /// is its own, as if it had come with this cursor.
    func promise(after clocks: Cut) {
        guard let behind, isWaiting, behind.resume == .fresh, clocks[partition] > .zero else { return }
        behind.resume = .after(Cursor(clocks, at: partition))
    }

    /// The data set went back to an older state: what the logs had a moment ago they may have no more, without a trace. What
    /// is read of them begins anew, and tells so.
    ///
    /// - Parameter began: it has given out the ids after this one. The lane has read none of those, whatever it has read of
    ///   the logs that a former master went on with: a repair brings them.
    /// - Returns: whether to go on.
    mutating func wentBack(_ feed: borrowing FeedView, began: EventID) -> Bool {
        fromLogs = nil
        hasNotRead(after: began)
        guard let behind else { return false }
        switch behind.stage {
        case .replaying(let run) where run.isNeedless(floor):
            behind.stage = .reading(run.position)
            return true
        case .replaying(let run):
            let again = again(run, from: floor == .zero ? run.replay.start : .after(floor), feed)
            reads(again)
            if began < .max { hasReread(Range(after: floor, upTo: run.mark)) }
            behind.stage = .replaying(again)
            behind.forgetOwed(upTo: run.mark, after: floor)
            return true
        case .ready(var beginning):
            guard case .replaying(let run) = beginning.stage else { return false }
            beginning.stage = .replaying(again(run, from: run.replay.start, feed))
            behind.stage = .ready(beginning)
            return false
        case .confirming, .awaitingReading, .reading: return false
        }
    }

    private mutating func hasReread(_ range: Range) {
        reread.append(range)
        if reread.count > StreamLane.rereadMax { start = max(start, reread.removeFirst().upTo) }
    }

    private mutating func hasNotRead(after began: EventID) {
        start = min(start, max(began, earliestStart))
        for index in reread.indices where reread[index].upTo > began {
            reread[index] = Range(after: min(reread[index].after, began), upTo: began)
        }
    }

    private func again(_ run: Replaying, from start: Replay.Start, _ feed: borrowing FeedView) -> Replaying {
        replay(
            run.targets, from: start, through: run.mark, at: run.position, feed, bytes: run.replay.bytesMax,
            newest: run.replay.newest, suspected: run.suspected)
    }

    /// The ring has passed the lane: it goes on from the logs, like one that comes back.
    mutating func refill(_ feed: borrowing FeedView, _ targets: StreamTargets.Part, replayBytes: Int) {
        guard let behind, case .reading = behind.stage else { preconditionFailure("refills in \(phase)") }
        // From the ring's start, because live-only events have no id by which to find a later place; what the logs have
        // brought by then is skipped.
        let covered = covered(feed, targets)
        guard covered > floor else {
            behind.stage = .reading(feed.ring.start)
            return
        }
        hasReread(Range(after: floor, upTo: covered))
        behind.forgetOwed(upTo: covered, after: floor)
        let run = replay(
            targets.names, from: .after(floor), through: covered, at: feed.ring.start, feed, bytes: replayBytes,
            newest: covered)
        reads(run)
        behind.stage = .replaying(run)
    }
}
