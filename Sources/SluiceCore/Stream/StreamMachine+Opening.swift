// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// How a stream begins: its targets are confirmed by the broker; then its starting point is known, or read; then what
/// lies between its cursor and the ring is read from the logs, or it reads the ring at once.
extension StreamMachine {
    package enum StartAction: Equatable {
        /// Ask for a reading of the clock, and hand it to `begin(reading:…)`.
        case askForReading
        /// Everything that it asks for is over, and the client has it. The head is not out: let it say so.
        case refuse
        /// The same, and the head is out.
        case finish
        /// Send the head, if it is not out, and these; then go on with `next`.
        case start(gap: Gap?, checkpoint: Cursor?)
    }

    /// So often the ring may pass a stream while late events are to come.
    private static let rereadMax = 32

    /// Another of its targets is not confirmed yet.
    package mutating func waits() {
        guard case .behind(let behind) = state, case .confirming(let left) = behind.stage else {
            preconditionFailure("waits for a target in \(phase)")
        }
        behind.stage = .confirming(left + 1)
    }

    /// One of the targets for which it waits is confirmed, or, once, all were named. May race with the end.
    ///
    /// - Returns: whether it waits for no other: then `begin` is next.
    package mutating func confirmed() -> Bool {
        guard case .behind(let behind) = state else {
            precondition(isEnded, "confirmed in \(phase)")
            return false
        }
        guard case .confirming(let left) = behind.stage, left > 0 else { preconditionFailure("confirmed in \(phase)") }
        behind.stage = .confirming(left - 1)
        return left == 1
    }

    /// All targets are confirmed: what comes from here on is its own, as soon as it is known after which id.
    ///
    /// - Parameter replayBytes: what a replay may hold.
    package mutating func begin(
        _ feed: borrowing FeedView, _ targets: StreamTargets, replayBytes: Int, now: NIODeadline
    ) -> StartAction {
        guard case .behind(let behind) = state, case .confirming(0) = behind.stage else {
            preconditionFailure("begins in \(phase)")
        }
        if needsReading(behind.resume, feed, targets) {
            behind.stage = .awaitingReading(feed.ring.end)
            return .askForReading
        }
        return begin(behind, after: nil, at: feed.ring.end, feed, targets, replayBytes: replayBytes, now: now)
    }

    /// A reading of the clock came, which was made after the confirmations. May race with the end.
    ///
    /// - Returns: nil: the stream is over.
    package mutating func begin(
        reading: EventID, _ feed: borrowing FeedView, _ targets: StreamTargets, replayBytes: Int, now: NIODeadline
    ) -> StartAction? {
        guard case .behind(let behind) = state else {
            precondition(isEnded, "a reading in \(phase)")
            return nil
        }
        guard case .awaitingReading(let position) = behind.stage else { preconditionFailure("a reading in \(phase)") }
        return begin(behind, after: reading, at: position, feed, targets, replayBytes: replayBytes, now: now)
    }

    /// Whether the broker has to be asked, or the shard knows all that the stream needs.
    private func needsReading(_ resume: Resume, _ feed: borrowing FeedView, _ targets: StreamTargets) -> Bool {
        if feed.clock == .zero || feed.born == 0 { return true }
        switch resume {
        case .after(let cursor): if cursor.id > feed.clock { return true }
        // It begins now. The last reading is too old for that, and the id of an event since then may be forged: Redis is asked.
        case .fresh, .malformed: if feed.newest > feed.clock { return true }
        case .earliest, .available: break
        }
        guard let since = targets.since, since <= feed.clock else { return true }
        return targets.mayEnd && !targets.areEndsKnown
    }

    /// - Parameters:
    ///   - reading: nil: none is needed.
    ///   - position: where the ring ended at the last confirmation.
    private mutating func begin(
        _ behind: Behind, after reading: EventID?, at position: UInt64, _ feed: borrowing FeedView,
        _ targets: StreamTargets, replayBytes: Int, now: NIODeadline
    ) -> StartAction {
        let latest = reading ?? feed.clock
        lastWrite = now
        lastCursor = now
        behind.liveFrom = position
        let from: Replay.Start
        switch behind.resume {
        case .after(let cursor) where cursor.id <= latest:
            if areTopicsOver, cursor.id >= targets.end { return isHeadSent ? .finish : .refuse }
            from = .after(cursor.id)
        case .earliest: from = .earliest
        case .available: from = .available
        case .fresh, .malformed, .after:
            if areTopicsOver { return isHeadSent ? .finish : .refuse }
            floor = latest
            start = latest
            behind.stage = .reading(position)
            behind.forgetOwed(upTo: latest)
            let gap = behind.resume == .fresh ? nil : Gap(from: nil, to: latest, targets: targets.names)
            return .start(gap: gap, checkpoint: hasCheckpoints && latest > .zero ? Cursor(latest) : nil)
        }
        behind.owesCheckpoint = hasCheckpoints
        if case .after(let cursor) = from {
            floor = cursor
            start = cursor
        }
        let covered = covered(feed, targets)
        if reading == nil, case .after(let cursor) = from, cursor >= covered,
            let place = feed.ring.position(after: cursor)
        {
            behind.stage = .reading(place)
        } else {
            let position = reading == nil ? feed.ring.position(after: covered) ?? position : position
            var names = targets.names
            // Of what goes to everybody only where nothing else was asked for.
            if from == .earliest || from == .available, names.count > 1 { names.removeAll { $0 == .all } }
            // Late events up to the mark are among what the logs have.
            start = reading ?? covered
            replay(behind, names, from: from, through: start, at: position, feed, bytes: replayBytes)
        }
        return .start(gap: nil, checkpoint: nil)
    }

    /// After this id the ring has all events of all targets of the stream.
    private func covered(_ feed: borrowing FeedView, _ targets: StreamTargets) -> EventID {
        max(feed.ring.dropped, min(targets.since ?? feed.clock, feed.clock))
    }

    private func replay(
        _ behind: Behind, _ targets: [Target], from start: Replay.Start, through mark: EventID, at position: UInt64,
        _ feed: borrowing FeedView, bytes: Int
    ) {
        behind.forgetOwed(upTo: mark)
        let replay = Replay(targets: targets, from: start, through: mark, born: feed.born, bytesMax: bytes)
        behind.stage = .replaying(Replaying(replay, of: targets, at: position))
    }

    /// The data set went back to an older state: what the logs had a moment ago they may have no more, without a trace. What
    /// is read of them begins anew, and tells so.
    ///
    /// - Returns: whether to go on with `next`.
    package mutating func wentBack(_ feed: borrowing FeedView) -> Bool {
        guard case .behind(let behind) = state, case .replaying(let run) = behind.stage else { return false }
        let from = floor == .zero ? run.replay.start : .after(floor)
        replay(
            behind, run.targets, from: from, through: run.mark, at: run.position, feed, bytes: run.replay.bytesMax)
        return true
    }

    /// The ring has passed the stream: it goes on from the logs, like one that comes back.
    package mutating func refill(_ feed: borrowing FeedView, _ targets: StreamTargets, replayBytes: Int) {
        guard case .behind(let behind) = state, case .reading = behind.stage else {
            preconditionFailure("refills in \(phase)")
        }
        // From the ring's start, because live-only events have no id by which to find a later place; what the logs have
        // brought by then is skipped.
        let covered = covered(feed, targets)
        guard covered > floor else {
            behind.stage = .reading(feed.ring.start)
            return
        }
        reread.append(Range(after: floor, upTo: covered))
        if reread.count > StreamMachine.rereadMax { start = max(start, reread.removeFirst().upTo) }
        replay(
            behind, targets.names, from: .after(floor), through: covered, at: feed.ring.start, feed, bytes: replayBytes)
    }
}
