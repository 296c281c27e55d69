// SPDX-License-Identifier: Apache-2.0

/// What one stream gets of one partition: where it stands there, and how it comes to be live.
///
///     confirming ─▶ awaitingReading ─▶ ready ─▶ replaying ─▶ reading ─▶ live        any ─end─▶ ended
///          └────────────────────────────▲ └─────────────────────▲ │      │
///                                                   ▲──refill────┘ ◀─────┘ its socket is full
///
/// How it begins is in `StreamLane+Opening.swift`, how it is brought up to date in `StreamLane+Reading.swift`. Only its ``StreamMachine``
/// knows it.
struct StreamLane {
    enum State {
        /// Everything up to the end of the ring was written: takes each batch as it comes.
        case live
        case behind(Behind)
        case ended
    }

    /// The ids after the one and up to the other.
    struct Range {
        let after: EventID
        let upTo: EventID

        func contains(_ id: EventID) -> Bool { id > after && id <= upTo }
    }

    var state: State
    let partition: Partition
    /// Was given late events since the last reading of the clock.
    var hadLate = false
    /// Logged events up to this id are not for this stream, or were written.
    var floor = EventID.zero
    /// A repaired event up to this id that comes late was before this stream, or was among what it has read from the logs.
    var start = EventID.zero
    /// It has read this of the logs of this data set: what that lacks of it, it lacks. nil: it has read none.
    var fromLogs: Range?
    /// The cursor that its client came with; `.zero`: it had none, or was told already what it may lack.
    var cameWith = EventID.zero
    /// ``start`` never goes back behind this: the client has what is before, or was not there. `.max`: `start` stays as it is.
    var earliestStart = EventID.max
    /// What else it has read from the logs, after the ring had passed it: a late event in there was among that.
    var reread: [Range] = []

    init(_ partition: Partition, resume: Resume) {
        self.partition = partition
        let behind = Behind(.confirming(1))
        behind.resume = resume
        state = .behind(behind)
    }

    var isLive: Bool {
        if case .live = state { true } else { false }
    }

    var isEnded: Bool {
        if case .ended = state { true } else { false }
    }

    /// nil: it is live, or over.
    var behind: Behind? {
        if case .behind(let behind) = state { behind } else { nil }
    }

    var isReading: Bool { position != nil }

    /// What is being read of its logs.
    var run: Replaying? {
        if case .replaying(let run) = behind?.stage { run } else { nil }
    }

    var isReplaying: Bool { run != nil }

    /// Where it reads the ring; nil: it does not.
    var position: UInt64? {
        if case .reading(let position) = behind?.stage { position } else { nil }
    }

    /// Everything up to this id is the client's, or never was its own; `.zero`: that is not known yet.
    var place: EventID {
        guard let behind else { return floor }
        switch behind.stage {
        case .replaying, .reading: return floor
        case .confirming, .awaitingReading, .ready:
            if case .after(let cursor) = behind.resume { return cursor.cut[partition] }
            return .zero
        }
    }

    // MARK: What was written

    /// Events up to `highest` went out (`.zero`: live-only ones).
    mutating func wrote(upTo highest: EventID, hasLate: Bool) {
        if hasLate { hadLate = true }
        floor = max(floor, highest)
    }

    /// The socket took less of a batch than it was given; what is next lies at `position`.
    mutating func fellBehind(at position: UInt64) {
        switch state {
        case .live: state = .behind(Behind(.reading(position)))
        case .behind(let behind):
            guard case .reading = behind.stage else { preconditionFailure("events of a batch in \(phase)") }
            behind.stage = .reading(position)
        case .ended: return
        }
    }

    /// The socket is full of something else.
    mutating func blocked(ringEnd: UInt64) {
        if isLive { state = .behind(Behind(.reading(ringEnd))) }
        run?.rewind()
    }

    /// Whether it has had all that it will ever get, if all topics are over.
    func isFinished(newest: EventID, end: EventID) -> Bool {
        isLive && !hadLate && (floor >= end || newest >= end)
    }

    // MARK: What it is told

    /// Something of its targets is lost for good.
    ///
    /// - Returns: whether to tell so now.
    mutating func isToTell(_ gap: Gap) -> Bool {
        // As for late events: another topic may have moved the floor behind the loss.
        if let to = gap.to, hasRead(to) { return false }
        if isLive { return true }
        guard let behind else { return false }
        switch behind.stage {
        // What it lacks of the time before its beginning it finds itself, or it was never its own.
        case .confirming: break
        // What its own reading covers, it will find itself.
        case .replaying(let run): if gap.to.map({ $0 > run.mark }) ?? true { behind.owe(gap) }
        case .awaitingReading, .ready, .reading: behind.owe(gap)
        }
        return false
    }

    /// It was before the stream, or is among what it has read from the logs.
    private func hasRead(_ id: EventID) -> Bool {
        id <= start || reread.contains { $0.contains(id) }
    }

    /// The ring has dropped late events between these ids: whether it may lack one. Those behind its floor it reads from
    /// the logs.
    func lacks(from lowest: EventID, to highest: EventID) -> Bool {
        lowest <= floor && highest > start && !reread.contains { $0.contains(lowest) && $0.contains(highest) }
    }

    /// The data set has lost what it had of its targets.
    ///
    /// - Parameters:
    ///   - wasHeard: the node has had it, and so has whoever was there.
    ///   - began: later ids were given out by the data set that lacks it.
    /// - Returns: whether to tell so now.
    mutating func isToTell(_ hole: Hole, of target: Target, wasHeard: Bool, began: EventID) -> Bool {
        let isFromLogs = fromLogs.map { hole.touches(after: $0.after, upTo: $0.upTo) } ?? false
        // Another node has told its client a later place before anybody knew of the hole, and may not have heard what is lost.
        let isPassed = cameWith > began && hole.upTo < cameWith
        guard isFromLogs || isPassed || (!wasHeard && !hasRead(hole.upTo)) else { return false }
        if isLive { return true }
        // What its own reading of the logs will find it is not owed.
        switch behind?.stage {
        case nil, .confirming: return false
        case .ready(let beginning):
            if case .replaying(let run) = beginning.stage, hole.upTo <= run.replay.newest { return false }
        case .awaitingReading, .replaying, .reading: break
        }
        behind?.owe(hole.gap(of: target))
        return false
    }

    var phase: StreamPhase {
        guard let behind else { return isLive ? .live : .ended }
        switch behind.stage {
        case .confirming: return .confirming
        case .awaitingReading: return .awaitingReading
        case .ready: return .ready
        case .replaying: return .replaying
        case .reading(let position): return .reading(position)
        }
    }
}
