// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// How a stream that is not live comes to be: from the logs, from the ring, until it has everything.
extension StreamMachine {
    package enum NextAction {
        /// The socket is full, something is awaited, or the stream is live.
        case wait
        /// Gather this event of a log.
        case event(LogSegment.Entry, in: LogSegment)
        /// Gather this gap of a log. `id`: may be carried.
        case gap(Gap, id: EventID?)
        /// Send what was gathered, and say so with `replayed`.
        case flush
        /// Read these pieces of logs, for the run that they are of.
        case read([Replay.Request], Replaying)
        /// The logs are read; the ring is next.
        case replayed
        /// Write the batch of the ring that has this position, from there on.
        case write(from: UInt64)
        /// The ring has passed this position: tell what no log tells, and `refill`.
        case overrun(UInt64)
        /// Tell what was lost meanwhile.
        case tell(Gap)
        case checkpoint(Cursor)
        /// It has had all that it will ever get.
        case finish
    }

    /// What is to be done next for a stream that is not live; to be asked again once that is done.
    ///
    /// - Parameter end: the newest of the ids that closed its topics.
    package mutating func next(
        _ feed: borrowing FeedView, end: @autoclosure () -> EventID, now: NIODeadline
    ) -> NextAction {
        guard case .behind(let behind) = state, behind.queuedWrites == 0 else { return .wait }
        switch behind.stage {
        case .confirming, .awaitingReading: return .wait
        case .replaying(let run): return next(behind, run)
        case .reading(let position):
            if let gap = behind.takeOwed() { return .tell(gap) }
            if position < feed.ring.start { return .overrun(position) }
            if position < feed.ring.end { return .write(from: position) }
            if behind.owesCheckpoint {
                behind.owesCheckpoint = false
                move(to: max(feed.clock, floor), now: now)
                return .checkpoint(Cursor(floor))
            }
            state = .live
            return isFinished(newest: feed.newest, end: end()) ? .finish : .wait
        }
    }

    /// The batch was read, and is about to be written, up to `position`.
    package mutating func read(upTo position: UInt64) {
        guard case .behind(let behind) = state, case .reading = behind.stage else {
            preconditionFailure("reads the ring in \(phase)")
        }
        behind.stage = .reading(position)
    }

    // MARK: The logs

    private mutating func next(_ behind: Behind, _ run: Replaying) -> NextAction {
        if let step = run.again() { return action(step) }
        let hasGathered = run.offered > 0
        if hasGathered, run.holdsMuch { return .flush }
        guard !run.isToAskAgain else { return hasGathered ? .flush : .wait }
        switch run.replay.next() {
        case .event(let entry, let segment, _): return action(run.give(.event(entry, in: segment)))
        case .gap(let gap, let id): return action(run.give(.gap(gap, id: id)))
        case .read(let requests): return .read(requests, run)
        case .wait: return hasGathered ? .flush : .wait
        case .done:
            if hasGathered { return .flush }
            floor = max(floor, run.mark)
            behind.stage = .reading(run.position)
            return .replayed
        }
    }

    private func action(_ step: Replaying.Step) -> NextAction {
        switch step {
        case .event(let entry, let segment): .event(entry, in: segment)
        case .gap(let gap, let id): .gap(gap, id: id)
        }
    }

    /// So much of what was gathered went out. The rest is given out again, once the socket can take more.
    ///
    /// - Parameter highest: of the ids that went out.
    package mutating func replayed(_ count: Int, upTo highest: EventID, now: NIODeadline) {
        guard case .behind(let behind) = state, case .replaying(let run) = behind.stage else {
            precondition(isEnded, "replays in \(phase)")
            return
        }
        run.wrote(count)
        wrote(upTo: highest, now: now)
    }

    private func isUnderWay(_ run: Replaying) -> Bool {
        if case .behind(let behind) = state, case .replaying(let current) = behind.stage {
            current === run
        } else {
            false
        }
    }

    package enum PageAction: Equatable {
        /// Go on with `next`.
        case proceed
        /// Call `askAgain` after a while.
        case askLater
        /// It is over, or waits to ask again already.
        case nothing
    }

    /// A piece of a log. May race with the end.
    package mutating func received(_ slice: LogSlice, lane: Int, of run: Replaying) -> PageAction {
        guard isUnderWay(run) else { return .nothing }
        run.replay.received(slice, lane: lane)
        return run.isToAskAgain ? .nothing : .proceed
    }

    /// What is stored under the log's name can't be read, also not later. May race with the end.
    package mutating func unreadable(lane: Int, of run: Replaying) -> PageAction {
        guard isUnderWay(run) else { return .nothing }
        run.replay.unreadable(lane: lane)
        return run.isToAskAgain ? .nothing : .proceed
    }

    /// The broker is away: the stream stays open, and goes on when that is back. May race with the end.
    package mutating func failed(lane: Int, of run: Replaying) -> PageAction {
        guard isUnderWay(run) else { return .nothing }
        run.replay.failed(lane: lane)
        guard !run.isToAskAgain else { return .nothing }
        run.isToAskAgain = true
        return .askLater
    }

    /// The time has come to ask again. May race with the end.
    package mutating func askAgain(_ run: Replaying) {
        run.isToAskAgain = false
    }
}
