// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// One stream's whole life: how it begins, what it gets from the logs, the ring and live, and what it is told.
///
/// It has a ``StreamLane`` for each partition that it listens to; with one server there is one. Its lanes share a connection, a head
/// and a cursor: a lane that can't go on, because its partition is away, keeps no other from doing so, and a connection
/// that can't take more stops them all.
///
/// There is no queue: a stream that can't take more remembers a position in the shard's ring and reads on from there
/// once it can; if the ring has passed it, it goes on from the logs. Its shard performs: it reads logs, writes, asks for
/// readings of the clock, closes. No I/O and no clock: time is an argument, and each input says what to do.
///
/// What races with the stream's end is ignored after it: a confirmation, a reading, an answer from a log, the end of a
/// write, a timer. Any other input that does not fit is a fault of the shard, and a trap.
///
/// How it begins is in `StreamMachine+Opening.swift`, how it is written in `StreamMachine+Writing.swift`.
package struct StreamMachine: ~Copyable {
    /// Most streams have one lane.
    var first: StreamLane
    var others: [StreamLane]
    /// When bytes went out last: while the socket is full, when it took some last.
    var lastWrite: NIODeadline
    var lastCursor: NIODeadline
    private let expiry: NIODeadline
    /// Topics that are not over. One more for a stream that has no end: it listens to a client, or to no topic.
    private var openTopics: Int32 = 0
    /// Sends checkpoints while it is quiet; a client may ask for none.
    let hasCheckpoints: Bool
    /// The head of the response is out, or is about to go.
    package private(set) var isHeadSent = false

    /// - Parameters:
    ///   - expiry: nil: it lives for ever.
    ///   - partitions: of its targets; at least one.
    package init(
        now: NIODeadline, expiry: NIODeadline?, resume: Resume, hasCheckpoints: Bool,
        partitions: PartitionSet = PartitionSet(.first)
    ) {
        if partitions == PartitionSet(.first) {
            first = StreamLane(.first, resume: resume)
            others = []
        } else {
            let lanes = partitions.partitions.map { StreamLane($0, resume: resume) }
            first = lanes[0]
            others = Array(lanes.dropFirst())
        }
        lastWrite = now
        lastCursor = now
        self.expiry = expiry ?? .distantFuture
        self.hasCheckpoints = hasCheckpoints
    }

    /// Costs an allocation: not for what is done for each delivery.
    subscript(partition: Partition) -> StreamLane {
        _read {
            if first.partition == partition { yield first } else { yield others[index(of: partition)] }
        }
        _modify {
            if first.partition == partition { yield &first } else { yield &others[index(of: partition)] }
        }
    }

    private func index(of partition: Partition) -> Int {
        guard let index = others.firstIndex(where: { $0.partition == partition }) else {
            preconditionFailure("the stream has no target in partition \(partition)")
        }
        return index
    }

    /// Whether this is so of any lane.
    func hasLane(_ isSo: (StreamLane) -> Bool) -> Bool {
        isSo(first) || others.contains(where: isSo)
    }

    mutating func changeAll(_ change: (inout StreamLane) -> Void) {
        change(&first)
        for index in others.indices { change(&others[index]) }
    }

    /// Takes each next batch straight away.
    package var isLive: Bool { first.isLive && others.allSatisfy(\.isLive) }

    package var isEnded: Bool { first.isEnded }

    /// How many of its lanes are given events from the logs.
    package var replays: Int { (first.isReplaying ? 1 : 0) + others.count(where: \.isReplaying) }

    /// The socket is full; nothing is written until it can take more.
    package var isBlocked: Bool { first.behind.map { $0.queuedWrites > 0 } ?? false }

    /// Was given late events since the last reading of the clock.
    package var hadLate: Bool { first.hadLate || others.contains(where: \.hadLate) }

    /// Logged events of a partition up to this id are not for this stream, or were written.
    package func floor(in partition: Partition = .first) -> EventID {
        first.partition == partition ? first.floor : others[index(of: partition)].floor
    }

    /// How much the ring has that it has not looked at, in the lane that is furthest behind.
    package func backlog(to ringEnd: UInt64) -> UInt64 {
        ([first] + others).compactMap(\.position).map { ringEnd > $0 ? ringEnd - $0 : 0 }.max() ?? 0
    }

    /// The ring has passed the stream, which stood at `position`: whether it has lost something of a target for good.
    package func hasLost(_ target: TargetFeed, from position: UInt64, in partition: Partition = .first) -> Bool {
        target.isLost(from: position) { self[partition].lacks(from: $0, to: $1) }
    }

    /// A repaired event up to this id that comes late was before this stream, or was among what it has read from the logs.
    package func start(in partition: Partition = .first) -> EventID { self[partition].start }

    /// Which of a partition's events are for it.
    package func wanted(in partition: Partition = .first) -> Wanted {
        let lane = self[partition]
        return Wanted(
            floor: lane.floor, start: lane.start, reread: lane.reread, liveFrom: lane.behind?.liveFrom ?? 0)
    }

    package struct Wanted {
        let floor: EventID
        let start: EventID
        let reread: [StreamLane.Range]
        let liveFrom: UInt64

        /// Not what the stream has had, nor what was before it.
        package func contains(_ entry: Batch.Entry, at position: UInt64) -> Bool {
            if entry.isLate {
                return entry.id > start && !reread.contains { $0.contains(entry.id) }
            }
            if entry.id == .zero { return position >= liveFrom }
            return entry.id > floor
        }
    }

    /// The head goes out with what is written next.
    ///
    /// - Returns: whether it was still to come.
    package mutating func takeHead() -> Bool {
        defer { isHeadSent = true }
        return !isHeadSent
    }

    /// Nothing more is written: what it still waited for is forgotten.
    package mutating func end() {
        changeAll { $0.state = .ended }
    }

    // MARK: The ends of its topics

    /// It listens to these; ends of topics that come later are told by `topic`.
    package mutating func opened(_ targets: StreamTargets) {
        openTopics = targets.openTopics + (targets.mayEnd ? 0 : 1)
    }

    /// One of its topics is over now, or has been opened again.
    package mutating func topic(isOver: Bool) {
        openTopics += isOver ? -1 : 1
    }

    var areTopicsOver: Bool { openTopics == 0 }

    /// Whether a live stream has had all that it will ever get.
    package func isFinished(newest: Cut, targets: @autoclosure () -> StreamTargets) -> Bool {
        guard areTopicsOver, isLive else { return false }
        let targets = targets()
        return !hasLane { !$0.isFinished(newest: newest[$0.partition], end: targets[$0.partition].end) }
    }

    // MARK: Its place

    /// Where its client stands: what a cursor says. No later one says less of a partition.
    ///
    /// - Parameter clocks: what everybody is told who is live.
    mutating func place(_ clocks: Cut) -> Cut {
        var place = clocks
        changeAll { lane in
            if lane.isLive { lane.floor = max(lane.floor, clocks[lane.partition]) }
            place[lane.partition] = lane.place
        }
        return place
    }

    /// The client's place as a cursor, made at the newest of its partitions.
    mutating func cursor(_ clocks: Cut) -> Cursor {
        let place = place(clocks)
        if others.isEmpty { return Cursor(place, at: first.partition) }
        let newest = ([first] + others).map(\.partition).max { place[$0] < place[$1] }
        return Cursor(place, at: newest ?? .first)
    }

    // MARK: What it is told

    /// A reading of a partition's clock came, perhaps not of one of its own. Late events carry no id: without a checkpoint behind them a stream that comes back
    /// would get them again.
    ///
    /// - Returns: the checkpoint that is due.
    package mutating func read(
        clocks: Cut, of partition: Partition = .first, now: NIODeadline
    ) -> Cursor? {
        guard hasLane({ $0.partition == partition && $0.hadLate && $0.isLive }) else { return nil }
        self[partition].hadLate = false
        let clock = clocks[partition]
        guard hasCheckpoints, clock >= self[partition].floor else { return nil }
        self[partition].floor = clock
        lastWrite = now
        lastCursor = now
        return cursor(clocks)
    }

    package enum GapAction: Equatable {
        /// It does not concern the stream, or comes later.
        case nothing
        case tell(id: Cursor?)
    }

    /// Something of its targets is lost for good.
    ///
    /// - Parameters:
    ///   - gap: names the stream's own targets of one partition only.
    ///   - id: what the gap may carry.
    package mutating func gap(
        _ gap: Gap, id: EventID?, in partition: Partition = .first, clocks: Cut, now: NIODeadline
    ) -> GapAction {
        guard self[partition].isToTell(gap) else { return .nothing }
        guard let id, id > self[partition].floor else { return .tell(id: nil) }
        lastWrite = now
        self[partition].floor = id
        lastCursor = now
        return .tell(id: Cursor(place(clocks).with(id, in: partition), at: partition))
    }

    /// The data set of a partition has lost what it had.
    ///
    /// - Parameters:
    ///   - target: one of the stream's own.
    ///   - wasHeard: the node has had it, and so has whoever was there.
    ///   - began: later ids were given out by the data set that lacks it; `.max`: that is not known.
    package mutating func hole(
        _ hole: Hole, of target: Target, wasHeard: Bool, began: EventID, in partition: Partition = .first
    ) -> GapAction {
        self[partition].isToTell(hole, of: target, wasHeard: wasHeard, began: began) ? .tell(id: nil) : .nothing
    }

    /// The lineage of a partition, perhaps not of one of its own, has become known, or another one.
    ///
    /// - Returns: whether to go on with `next`.
    package mutating func examine(
        in partition: Partition = .first, _ feed: borrowing FeedView, targets: @autoclosure () -> StreamTargets,
        replayBytes: Int
    ) -> Bool {
        guard hasLane({ $0.partition == partition && $0.cameWith > .zero }),
            let began = feed.rivalBegan(to: self[partition].cameWith, in: partition)
        else { return false }
        return self[partition].examine(after: began, feed, targets()[partition].names, replayBytes: replayBytes)
    }

    // MARK: Time

    package struct Limits: Sendable {
        package var heartbeat: TimeAmount
        package var checkpoint: TimeAmount
        package var stall: TimeAmount
        /// A stream that the broker does not let begin gets its head after this all the same.
        package var head = TimeAmount.seconds(1)

        package init(heartbeat: TimeAmount, checkpoint: TimeAmount, stall: TimeAmount) {
            self.heartbeat = heartbeat
            self.checkpoint = checkpoint
            self.stall = stall
        }
    }

    package enum WakeAction: Equatable {
        case sleep
        /// The broker is away or slow, but the client is told that it is connected. Then go on with `proceed`.
        case head
        case heartbeat
        /// The clock has moved on while nothing was written: send this cursor.
        case checkpoint(Cursor)
        /// Took nothing for too long.
        case stalled
        case expired
    }

    /// The time has come to look: what to do, and when to look again.
    package mutating func wake(
        now: NIODeadline, clocks: Cut, limits: Limits
    ) -> (action: WakeAction, next: NIODeadline) {
        if isEnded { return (.sleep, .distantFuture) }
        if now >= expiry { return (.expired, .distantFuture) }
        if isBlocked {
            if now - lastWrite >= limits.stall { return (.stalled, .distantFuture) }
            return (.sleep, min(lastWrite + limits.stall, expiry))
        }
        if !isHeadSent, hasLane({ $0.isWaiting || $0.isReady }) {
            guard now - lastWrite >= limits.head else { return (.sleep, min(lastWrite + limits.head, expiry)) }
            promise(clocks)
            lastWrite = now
            return (.head, min(now + limits.heartbeat, expiry))
        }
        // It is about to be written anyway.
        if hasLane({ $0.isReading }) { return (.sleep, min(now + limits.heartbeat, expiry)) }
        // What waits for the broker has only heartbeats: where it stands is not known before that is back.
        guard hasLane(\.isLive), now - lastCursor >= limits.checkpoint else {
            return wakeQuiet(now: now, limits: limits)
        }
        lastCursor = now
        guard hasLane({ $0.isLive && clocks[$0.partition] > $0.floor }) else {
            return wakeQuiet(now: now, limits: limits)
        }
        changeAll { if $0.isLive { $0.floor = max($0.floor, clocks[$0.partition]) } }
        lastWrite = now
        let next = min(now + min(limits.heartbeat, limits.checkpoint), expiry)
        return (hasCheckpoints ? .checkpoint(cursor(clocks)) : .heartbeat, next)
    }

    private mutating func wakeQuiet(now: NIODeadline, limits: Limits) -> (action: WakeAction, next: NIODeadline) {
        var action = WakeAction.sleep
        if now - lastWrite >= limits.heartbeat {
            lastWrite = now
            action = .heartbeat
        }
        var next = min(lastWrite + limits.heartbeat, expiry)
        if hasLane(\.isLive) { next = min(next, lastCursor + limits.checkpoint) }
        return (action, next)
    }

    // MARK: Seen from outside

    /// What is to be told once it can be, for its tests.
    package func owed(in partition: Partition = .first) -> Gap? { self[partition].behind?.gap }

    /// Where a stream stands, for its tests.
    package func phase(in partition: Partition = .first) -> StreamPhase { self[partition].phase }
}
