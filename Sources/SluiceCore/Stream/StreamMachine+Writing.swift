// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// How a stream is written: what it takes straight away, what waits, and how it comes to be live.
///
/// A batch is of one partition, and its frames say where a client stands that has everything up to the batch in all others.
/// A stream of which that is not so, as one that has just come back, gets the same frames with a cursor of its own.
extension StreamMachine {
    package enum NextAction {
        /// The socket is full, something is awaited, or the stream is live.
        case wait
        /// Gather this event of a log. `cursor`: in place of its id.
        case event(LogSegment.Entry, in: LogSegment, cursor: Cursor?)
        /// Gather this gap of a log. `id`: may be carried.
        case gap(Gap, id: Cursor?)
        /// Send what was gathered, and say so with `replayed`.
        case flush
        /// Read these pieces of logs, for the run that they are of.
        case read([Replay.Request], Replaying)
        /// The logs of a partition are read; the ring is next.
        case replayed
        /// Write the batch of the ring that has this position, from there on.
        case write(from: UInt64)
        /// The ring has passed this position: tell what no log tells, and `refill`.
        case overrun(UInt64, in: Partition)
        /// Tell what was lost meanwhile.
        case tell(Gap)
        case checkpoint(Cursor)
        /// It has had all that it will ever get.
        case finish
    }

    /// What a live stream needs to know of a batch that has just come.
    package struct Taking {
        /// Logged events of its partition up to this id are not for this stream, or were written.
        package let floor: EventID
        /// See ``StreamMachine/placeBefore(_:)``.
        package let place: Cut?
    }

    /// Whether it takes a batch straight away that has just come: the test at the heart of the fan-out; nil: it does not.
    ///
    /// Changes nothing. But a machine that is borrowed is copied, and this is called for each delivery.
    package mutating func takes(_ batch: Batch) -> Taking? {
        if others.isEmpty { return first.isLive ? Taking(floor: first.floor, place: nil) : nil }
        var floor = EventID.zero
        var fits = true
        // -1 is the first. A lane that were handed to a function would be copied.
        for index in -1..<others.count {
            let partition = index < 0 ? first.partition : others[index].partition
            let isLive = index < 0 ? first.isLive : others[index].isLive
            let laneFloor = index < 0 ? first.floor : others[index].floor
            if partition == batch.partition {
                guard isLive else { return nil }
                floor = laneFloor
            } else {
                fits = fits && isLive && laneFloor <= batch.cut[partition]
            }
        }
        return Taking(floor: floor, place: fits ? nil : placeBefore(batch))
    }

    // MARK: What was written

    /// Events of a partition up to `highest` went out (`.zero`: live-only ones).
    ///
    /// - Parameters:
    ///   - place: what they said of other partitions.
    ///   - hasLate: a late one was among them.
    package mutating func wrote(
        upTo highest: EventID, in partition: Partition = .first, place: Cut? = nil, hasLate: Bool = false,
        now: NIODeadline
    ) {
        lastWrite = now
        if others.isEmpty {
            if highest > first.floor { lastCursor = now }
            return first.wrote(upTo: highest, hasLate: hasLate)
        }
        if highest > floor(in: partition) { lastCursor = now }
        changeAll { lane in
            if lane.partition == partition {
                lane.wrote(upTo: highest, hasLate: hasLate)
            } else if let place, lane.isLive || lane.isReading {
                lane.floor = max(lane.floor, place[lane.partition])
            }
        }
    }

    /// The socket took less of a batch than it was given; what is next lies at `position`. The rest of the event that was
    /// begun is queued.
    package mutating func fellBehind(
        at position: UInt64, in partition: Partition = .first, ringEnd: UInt64, now: NIODeadline
    ) {
        // Other lanes that are live have nothing in a batch that has just come: they go on where this one does.
        let isNew = self[partition].isLive
        changeAll { if $0.partition == partition || (isNew && $0.isLive) { $0.fellBehind(at: position) } }
        blocked(ringEnd: ringEnd, now: now)
    }

    /// The socket is full of something else: its rest is queued.
    package mutating func blocked(ringEnd: UInt64, now: NIODeadline) {
        changeAll { $0.blocked(ringEnd: ringEnd) }
        guard let behind = first.behind else { return }
        if behind.queuedWrites == 0 { lastWrite = now }
        behind.queuedWrites += 1
    }

    /// What was queued by one input has gone out. May race with the end.
    ///
    /// - Returns: whether all of it has, so that the stream can go on.
    package mutating func unblocked(now: NIODeadline) -> Bool {
        guard let behind = first.behind, behind.queuedWrites > 0 else {
            precondition(isEnded, "nothing was queued")
            return false
        }
        behind.queuedWrites -= 1
        behind.queuedBytes = 0
        lastWrite = now
        return behind.queuedWrites == 0
    }

    /// A piece of what was queued has gone out.
    package mutating func progressed(now: NIODeadline) {
        if isBlocked { lastWrite = now }
    }

    /// So many bytes are queued still. A large rest may take long: as long as some of it goes out, the stream is alive.
    package mutating func queued(bytes: Int, now: NIODeadline) {
        guard let behind = first.behind else { return }
        if bytes < behind.queuedBytes { progressed(now: now) }
        behind.queuedBytes = bytes
    }

    /// Where the client stands in all partitions before it is given this batch, if that is not what the batch's own frames say
    /// of the others; nil: its frames will do.
    ///
    /// They will do if each other lane has had what the node had, and no more: it stands at the same place of the ring, and has
    /// read no further in its logs.
    package func placeBefore(_ batch: Batch) -> Cut? {
        guard !others.isEmpty else { return nil }
        let position = self[batch.partition].position
        func isAtSame(_ lane: StreamLane) -> Bool { position == nil ? lane.isLive : lane.position == position }
        func fits(_ lane: StreamLane) -> Bool {
            lane.partition == batch.partition || (isAtSame(lane) && lane.floor <= batch.cut[lane.partition])
        }
        if fits(first), others.allSatisfy(fits) { return nil }
        var place = batch.cut
        for lane in [first] + others where lane.partition != batch.partition {
            place[lane.partition] =
                isAtSame(lane) ? max(lane.floor, batch.cut[lane.partition]) : lane.place
        }
        return place
    }

    // MARK: Coming to be live

    /// What is to be done next for a stream that is not live; to be asked again once that is done.
    package mutating func next(
        _ feed: borrowing FeedView, targets: @autoclosure () -> StreamTargets, now: NIODeadline
    ) -> NextAction {
        guard !isBlocked, !isEnded else { return .wait }
        if let action = replay(first.partition, feed) { return action }
        for index in others.indices {
            if let action = replay(others[index].partition, feed) { return action }
        }
        guard lowestPosition != nil else { return .wait }
        if let gap = takeOwed() { return .tell(gap) }
        while let position = lowestPosition, position < feed.ring.end {
            if position < feed.ring.start { return .overrun(position, in: passed(position)) }
            if feed.clocks.count == 1 || !passes(position, feed) { return .write(from: position) }
        }
        if let cursor = checkpoint(feed, now: now) { return .checkpoint(cursor) }
        changeAll { if $0.isReading { $0.state = .live } }
        return isFinished(newest: feed.newest, targets: targets()) ? .finish : .wait
    }

    /// - Returns: nil: nothing is to be done now for this partition's logs.
    private mutating func replay(_ partition: Partition, _ feed: borrowing FeedView) -> NextAction? {
        guard let run = self[partition].run else { return nil }
        switch self[partition].next(of: run) {
        case .wait: return nil
        case .event(let entry, let segment):
            return .event(entry, in: segment, cursor: feed.clocks.count == 1 ? nil : cursor(entry.id, partition, feed))
        case .gap(let gap, let id?): return .gap(gap, id: cursor(id, partition, feed))
        case .gap(let gap, nil): return .gap(gap, id: nil)
        case .flush: return .flush
        case .read(let requests): return .read(requests, run)
        case .done: return .replayed
        }
    }

    /// Where the client stands once it has this event of a log.
    private mutating func cursor(_ id: EventID, _ partition: Partition, _ feed: borrowing FeedView) -> Cursor {
        Cursor(place(feed.clocks).with(id, in: partition), at: partition)
    }

    private var lowestPosition: UInt64? {
        others.reduce(first.position) { lowest, lane in
            guard let position = lane.position else { return lowest }
            return min(lowest ?? position, position)
        }
    }

    private func takeOwed() -> Gap? {
        if first.isReading, let gap = first.behind?.takeOwed() { return gap }
        for lane in others where lane.isReading {
            if let gap = lane.behind?.takeOwed() { return gap }
        }
        return nil
    }

    private func passed(_ position: UInt64) -> Partition {
        first.position == position ? first.partition : others.first { $0.position == position }?.partition ?? .first
    }

    /// A batch at this place that is for no lane that stands there is passed by, up to the lane that it is for.
    ///
    /// - Returns: whether it was.
    private mutating func passes(_ position: UInt64, _ feed: borrowing FeedView) -> Bool {
        guard let batch = feed.ring.batch(at: position) else { preconditionFailure("\(position) is not in the ring") }
        var end = batch.end
        for lane in [first] + others where lane.partition == batch.partition {
            guard let place = lane.position else { continue }
            if place == position { return false }
            end = min(end, place)
        }
        read(upTo: end)
        return true
    }

    /// The batch was read, and is about to be written, up to `position`: there is nothing in it for other lanes.
    package mutating func read(upTo position: UInt64) {
        changeAll { if let place = $0.position, place < position { $0.behind?.stage = .reading(position) } }
    }

    /// The first cursor of a resumed stream follows its replays.
    private mutating func checkpoint(_ feed: borrowing FeedView, now: NIODeadline) -> Cursor? {
        guard hasLane({ $0.isReading && $0.behind?.owesCheckpoint == true }) else { return nil }
        changeAll {
            guard $0.isReading else { return }
            $0.behind?.owesCheckpoint = false
            $0.floor = max(feed.clock(of: $0.partition), $0.floor)
        }
        // Another lane's will follow.
        if hasLane(\.isReplaying) { return nil }
        lastCursor = now
        return cursor(feed.clocks)
    }

    /// So much of what was gathered went out. The rest is given out again, once the socket can take more.
    ///
    /// - Parameter highest: of the ids that went out.
    package mutating func replayed(_ count: Int, upTo highest: EventID, now: NIODeadline) {
        guard let run = gathering else {
            precondition(isEnded, "nothing was gathered")
            return
        }
        run.wrote(count)
        wrote(upTo: highest, in: run.partition, now: now)
    }

    /// The run of which something was given out: what it has gathered goes out before another's turn comes.
    private var gathering: Replaying? {
        if let run = first.run, run.offered > 0 { return run }
        return others.lazy.compactMap(\.run).first { $0.offered > 0 }
    }

    /// What one request of a run has brought. May race with the end.
    package mutating func received(
        _ outcome: Replay.Outcome, lane request: Int, of run: Replaying
    ) -> Replaying.PageAction {
        self[run.partition].received(outcome, request: request, of: run)
    }

    /// The time has come to ask again. May race with the end.
    package mutating func askAgain(_ run: Replaying) {
        run.isToAskAgain = false
    }
}
