// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// One stream's whole life: how it begins, what it gets from the logs, the ring and live, and what it is told.
///
///     confirming ─▶ awaitingReading ─▶ replaying ─▶ reading ─▶ live        any ─end─▶ ended
///          └────────────┴──────────────────────────────▲ │      │
///                                          ▲──refill────┘ ◀─────┘ fellBehind, blocked
///
/// There is no queue: a stream that can't take more remembers a position in the shard's ring and reads on from there
/// once it can; if the ring has passed it, it goes on from the logs. Its shard performs: it reads logs, writes, asks for
/// readings of the clock, closes. No I/O and no clock: time is an argument, and each input says what to do.
///
/// What races with the stream's end is ignored after it: a confirmation, a reading, an answer from a log, the end of a
/// write, a timer. Any other input that does not fit is a fault of the shard, and a trap.
package struct StreamMachine: ~Copyable {
    /// How it begins and is brought up to date: `StreamMachine+Opening.swift`, `StreamMachine+Reading.swift`.
    enum State {
        /// Everything up to the end of the ring was written: takes each batch as it comes.
        case live
        case behind(Behind)
        case ended
    }

    var state: State
    /// Logged events up to this id are not for this stream, or were written.
    package internal(set) var floor = EventID.zero
    /// A repaired event up to this id that comes late was before this stream, or was among what it has read from the logs.
    package internal(set) var start = EventID.zero
    /// What else it has read from the logs, after the ring had passed it: a late event in there was among that.
    var reread: [Range] = []
    /// When bytes went out last: while the socket is full, when it took some last.
    var lastWrite: NIODeadline
    var lastCursor: NIODeadline
    private let expiry: NIODeadline
    /// Topics that are not over. One more for a stream that has no end: it listens to a client, or to no topic.
    private var openTopics: Int32 = 0
    /// Sends checkpoints while it is quiet; a client may ask for none.
    let hasCheckpoints: Bool
    /// Was given late events since the last reading of the clock.
    package private(set) var hadLate = false
    /// The head of the response is out, or is about to go.
    package private(set) var isHeadSent = false

    /// - Parameter expiry: nil: it lives for ever.
    package init(now: NIODeadline, expiry: NIODeadline?, resume: Resume, hasCheckpoints: Bool) {
        let behind = Behind(.confirming(1))
        behind.resume = resume
        state = .behind(behind)
        lastWrite = now
        lastCursor = now
        self.expiry = expiry ?? .distantFuture
        self.hasCheckpoints = hasCheckpoints
    }

    /// Takes the next batch straight away: the test at the heart of the fan-out.
    package var isLive: Bool {
        if case .live = state { true } else { false }
    }

    package var isEnded: Bool {
        if case .ended = state { true } else { false }
    }

    /// Is given events from the logs.
    package var isReplaying: Bool {
        if case .behind(let behind) = state, case .replaying = behind.stage { true } else { false }
    }

    /// The socket is full; nothing is written until it can take more.
    package var isBlocked: Bool {
        if case .behind(let behind) = state { behind.queuedWrites > 0 } else { false }
    }

    /// Which of its targets' events are for it.
    package var wanted: Wanted {
        if case .behind(let behind) = state {
            Wanted(floor: floor, start: start, reread: reread, liveFrom: behind.liveFrom)
        } else {
            Wanted(floor: floor, start: start, reread: reread, liveFrom: 0)
        }
    }

    /// The ids after the one and up to the other.
    struct Range {
        let after: EventID
        let upTo: EventID
    }

    package struct Wanted {
        package let floor: EventID
        let start: EventID
        let reread: [Range]
        let liveFrom: UInt64

        /// Not what the stream has had, nor what was before it.
        package func contains(_ entry: Batch.Entry, at position: UInt64) -> Bool {
            if entry.isLate {
                return entry.id > start && !reread.contains { entry.id > $0.after && entry.id <= $0.upTo }
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
        state = .ended
    }

    // MARK: What was written

    /// Events up to `highest` went out (`.zero`: live-only ones).
    ///
    /// - Parameter hasLate: a late one was among them.
    package mutating func wrote(upTo highest: EventID, hasLate: Bool = false, now: NIODeadline) {
        lastWrite = now
        if hasLate { hadLate = true }
        if highest > floor { move(to: highest, now: now) }
    }

    /// The client's cursor is this one now.
    mutating func move(to id: EventID, now: NIODeadline) {
        floor = id
        lastCursor = now
    }

    /// The socket took less of a batch than it was given; what is next lies at `position`. The rest of the event that was
    /// begun is queued.
    package mutating func fellBehind(at position: UInt64, now: NIODeadline) {
        switch state {
        case .live: state = .behind(Behind(.reading(position)))
        case .behind(let behind):
            guard case .reading = behind.stage else { preconditionFailure("events of a batch in \(phase)") }
            behind.stage = .reading(position)
        case .ended: return
        }
        blocked(ringEnd: position, now: now)
    }

    /// The socket is full of something else: its rest is queued.
    package mutating func blocked(ringEnd: UInt64, now: NIODeadline) {
        if isLive { state = .behind(Behind(.reading(ringEnd))) }
        guard case .behind(let behind) = state else { return }
        if behind.queuedWrites == 0 { lastWrite = now }
        behind.queuedWrites += 1
        if case .replaying(let run) = behind.stage { run.rewind() }
    }

    /// What was queued by one input has gone out. May race with the end.
    ///
    /// - Returns: whether all of it has, so that the stream can go on.
    package mutating func unblocked(now: NIODeadline) -> Bool {
        guard case .behind(let behind) = state, behind.queuedWrites > 0 else {
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
        guard case .behind(let behind) = state else { return }
        if bytes < behind.queuedBytes { progressed(now: now) }
        behind.queuedBytes = bytes
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
    ///
    /// - Parameter end: the newest of the ids that closed its topics.
    package func isFinished(newest: EventID, end: @autoclosure () -> EventID) -> Bool {
        guard isLive, areTopicsOver, !hadLate else { return false }
        let end = end()
        return floor >= end || newest >= end
    }

    // MARK: What it is told

    /// A reading of the clock came. Late events carry no id: without a checkpoint behind them a stream that comes back
    /// would get them again.
    ///
    /// - Returns: the checkpoint that is due.
    package mutating func read(clock: EventID, now: NIODeadline) -> Cursor? {
        guard hadLate, isLive else { return nil }
        hadLate = false
        guard hasCheckpoints, clock >= floor else { return nil }
        lastWrite = now
        move(to: clock, now: now)
        return Cursor(clock)
    }

    package enum GapAction: Equatable {
        /// It does not concern the stream, or comes later.
        case nothing
        case tell(id: EventID?)
    }

    /// Something of its targets is lost for good.
    ///
    /// - Parameters:
    ///   - gap: names the stream's own targets only.
    ///   - id: what the gap may carry.
    package mutating func gap(_ gap: Gap, id: EventID?, now: NIODeadline) -> GapAction {
        // As for late events: another topic may have moved the stream's floor behind the loss.
        if let to = gap.to, to <= start { return .nothing }
        switch state {
        case .ended: return .nothing
        case .live:
            guard let id, id > floor else { return .tell(id: nil) }
            lastWrite = now
            move(to: id, now: now)
            return .tell(id: id)
        case .behind(let behind):
            switch behind.stage {
            // What it lacks of the time before its beginning it finds itself, or it was never its own.
            case .confirming: break
            // What its own reading covers, it will find itself.
            case .replaying(let run): if gap.to.map({ $0 > run.mark }) ?? true { behind.owe(gap) }
            case .awaitingReading, .reading: behind.owe(gap)
            }
            return .nothing
        }
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
        /// The broker is away or slow, but the client is told that it is connected.
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
        now: NIODeadline, clock: EventID, limits: Limits
    ) -> (action: WakeAction, next: NIODeadline) {
        if isEnded { return (.sleep, .distantFuture) }
        if now >= expiry { return (.expired, .distantFuture) }
        if case .behind(let behind) = state {
            if behind.queuedWrites > 0 {
                if now - lastWrite >= limits.stall { return (.stalled, .distantFuture) }
                return (.sleep, min(lastWrite + limits.stall, expiry))
            }
            switch behind.stage {
            // It is about to be written anyway.
            case .reading: return (.sleep, min(now + limits.heartbeat, expiry))
            case .confirming where !isHeadSent, .awaitingReading where !isHeadSent:
                guard now - lastWrite >= limits.head else { return (.sleep, min(lastWrite + limits.head, expiry)) }
                promise(behind, after: clock)
                lastWrite = now
                return (.head, min(now + limits.heartbeat, expiry))
            // What waits for the broker has only heartbeats: where it stands is not known before that is back.
            case .confirming, .awaitingReading, .replaying: return wakeQuiet(now: now, limits: limits)
            }
        }
        guard now - lastCursor >= limits.checkpoint else { return wakeQuiet(now: now, limits: limits) }
        lastCursor = now
        guard clock > floor else { return wakeQuiet(now: now, limits: limits) }
        floor = clock
        lastWrite = now
        let next = min(now + min(limits.heartbeat, limits.checkpoint), expiry)
        return (hasCheckpoints ? .checkpoint(Cursor(clock)) : .heartbeat, next)
    }

    private mutating func wakeQuiet(now: NIODeadline, limits: Limits) -> (action: WakeAction, next: NIODeadline) {
        var action = WakeAction.sleep
        if now - lastWrite >= limits.heartbeat {
            lastWrite = now
            action = .heartbeat
        }
        var next = min(lastWrite + limits.heartbeat, expiry)
        if isLive { next = min(next, lastCursor + limits.checkpoint) }
        return (action, next)
    }

    /// Its head goes out before it can begin. The client takes itself for connected then, so what is published from here on
    /// is its own, as if it had come with this cursor.
    private func promise(_ behind: Behind, after clock: EventID) {
        if case .fresh = behind.resume, clock > .zero { behind.resume = .after(Cursor(clock)) }
    }

    // MARK: Seen from outside

    /// What is to be told once it can be, for its tests.
    package var owed: Gap? {
        if case .behind(let behind) = state { behind.gap } else { nil }
    }

    /// Where a stream stands, for its tests.
    package enum Phase: Equatable, Sendable {
        case confirming
        case awaitingReading
        case replaying
        case reading(UInt64)
        case live
        case ended
    }

    package var phase: Phase {
        switch state {
        case .live: .live
        case .ended: .ended
        case .behind(let behind):
            switch behind.stage {
            case .confirming: .confirming
            case .awaitingReading: .awaitingReading
            case .replaying: .replaying
            case .reading(let position): .reading(position)
            }
        }
    }
}
