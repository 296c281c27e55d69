// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// Where one stream stands: resume, catch-up and live delivery are this one machine.
///
///     opening ──begin────────────────────▶ reading(position) ──caught up──▶ live
///        │                                   ▲   │   ▲                        │
///        └─replay──▶ replaying ──begin───────┘   │   └────── fellBehind ──────┘     any ──end──▶ ended
///                        ▲──────── overrun ──────┘
///
/// There is no queue: a stream that can't take more remembers a position in the shard's ring and reads on from there
/// once it can. No I/O and no clock: time is an argument, and each input says what to do.
package struct StreamState {
    package enum Phase: Equatable, Sendable {
        /// Waits until its channels are confirmed and its starting point is known.
        case opening
        /// Is given events from the logs.
        case replaying
        /// Reads the ring from this position on.
        case reading(UInt64)
        /// Everything up to the end of the ring was written: takes each batch as it comes.
        case live
        case ended
    }

    package private(set) var phase = Phase.opening
    /// Logged events up to this id are not for this stream, or were written.
    package private(set) var floor = EventID.zero
    /// A repaired event up to this id that comes late was before this stream, or was among what it has read from the logs.
    package private(set) var start = EventID.zero
    /// Live-only events before this position were there before the stream.
    package private(set) var liveFrom: UInt64 = 0
    /// The socket is full; nothing is written until it can take more.
    package private(set) var isBlocked = false

    private var lastWrite: NIODeadline
    private var lastCursor: NIODeadline
    private var lastProgress: NIODeadline
    private let expiry: NIODeadline?

    package init(now: NIODeadline, expiry: NIODeadline?) {
        lastWrite = now
        lastCursor = now
        lastProgress = now
        self.expiry = expiry
    }

    /// The stream brought a cursor; what lies between it and the ring is written first.
    package mutating func replay(after cursor: EventID, liveFrom: UInt64, now: NIODeadline) {
        switch phase {
        case .opening:
            self.liveFrom = liveFrom
            start = cursor
            floor = cursor
            lastWrite = now
            lastCursor = now
            phase = .replaying
        case .reading: phase = .replaying
        case .replaying, .live, .ended: break
        }
    }

    /// Reads the ring from `position` on. Everything up to `floor` was written or is not for this stream.
    package mutating func begin(
        after floor: EventID, at position: UInt64, liveFrom: UInt64? = nil, now: NIODeadline
    ) {
        switch phase {
        case .opening:
            self.liveFrom = liveFrom ?? position
            start = floor
            lastWrite = now
            lastCursor = now
        case .replaying: start = max(start, floor)
        case .reading, .live, .ended: return
        }
        self.floor = max(self.floor, floor)
        phase = .reading(position)
    }

    /// Takes the next batch straight away: the test at the heart of the fan-out.
    package var isLive: Bool { phase == .live && !isBlocked }

    /// Whether an event of the stream's targets is for it: not what it has had, nor what was before it.
    package func wants(_ entry: Batch.Entry, at position: UInt64) -> Bool {
        if entry.isLate { return entry.id > start }
        if entry.id == .zero { return position >= liveFrom }
        return entry.id > floor
    }

    /// Bytes up to `highest` went out (`.zero`: live-only events).
    package mutating func wrote(upTo highest: EventID, now: NIODeadline) {
        lastWrite = now
        lastProgress = now
        if highest > floor {
            floor = highest
            lastCursor = now
        }
    }

    /// The socket took less of the ring than it was given; what is next lies at `position`.
    package mutating func fellBehind(at position: UInt64, now: NIODeadline) {
        guard phase != .ended, phase != .opening else { return }
        phase = .reading(position)
        blocked(ringEnd: position, now: now)
    }

    /// The socket is full of something else than events.
    package mutating func blocked(ringEnd: UInt64, now: NIODeadline) {
        if phase == .live { phase = .reading(ringEnd) }
        if !isBlocked { lastProgress = now }
        isBlocked = true
    }

    package mutating func unblocked(now: NIODeadline) {
        isBlocked = false
        lastProgress = now
    }

    /// Some of what waits in the socket's queue went out.
    package mutating func progressed(now: NIODeadline) {
        lastProgress = now
    }

    package enum ReadAction: Equatable {
        case nothing
        /// Write from this position of the ring.
        case read(from: UInt64)
        /// The ring has passed this stream.
        case overrun
    }

    /// What to do with a ring that holds `start..<end`.
    package mutating func next(ringStart start: UInt64, ringEnd end: UInt64) -> ReadAction {
        guard case .reading(let position) = phase, !isBlocked else { return .nothing }
        if position < start { return .overrun }
        if position < end { return .read(from: position) }
        phase = .live
        return .nothing
    }

    /// The ring was read, and written or skipped, up to `position`.
    package mutating func read(upTo position: UInt64) {
        guard case .reading = phase else { return }
        phase = .reading(position)
    }

    package mutating func end() {
        phase = .ended
    }

    package struct Limits: Sendable {
        package var heartbeat: TimeAmount
        package var checkpoint: TimeAmount
        package var stall: TimeAmount

        package init(heartbeat: TimeAmount, checkpoint: TimeAmount, stall: TimeAmount) {
            self.heartbeat = heartbeat
            self.checkpoint = checkpoint
            self.stall = stall
        }
    }

    package enum WakeAction: Equatable {
        case sleep
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
        if phase == .ended { return (.sleep, .distantFuture) }
        if let expiry, now >= expiry { return (.expired, .distantFuture) }
        if isBlocked {
            if now - lastProgress >= limits.stall { return (.stalled, .distantFuture) }
            return (.sleep, earliest(lastProgress + limits.stall))
        }
        // It is about to be written anyway.
        if case .reading = phase { return (.sleep, earliest(now + limits.heartbeat)) }
        // What waits for Redis has only heartbeats: where it stands is not known before that is back.
        let isLive = phase == .live
        if isLive, now - lastCursor >= limits.checkpoint {
            lastCursor = now
            if clock > floor {
                floor = clock
                lastWrite = now
                return (.checkpoint(Cursor(clock)), earliest(now + min(limits.heartbeat, limits.checkpoint)))
            }
        }
        var action = WakeAction.sleep
        if now - lastWrite >= limits.heartbeat {
            lastWrite = now
            action = .heartbeat
        }
        let next = lastWrite + limits.heartbeat
        return (action, earliest(isLive ? min(next, lastCursor + limits.checkpoint) : next))
    }

    private func earliest(_ deadline: NIODeadline) -> NIODeadline {
        min(deadline, expiry ?? .distantFuture)
    }
}
