// SPDX-License-Identifier: Apache-2.0

/// How a lane is given what its logs have.
extension StreamLane {
    /// What is next of a run.
    enum ReplayAction {
        case wait
        case event(LogSegment.Entry, in: LogSegment)
        case gap(Gap, id: EventID?)
        case flush
        case read([Replay.Request])
        /// The logs are read; the ring is next.
        case done
    }

    mutating func next(of run: Replaying) -> ReplayAction {
        if let step = run.again() { return StreamLane.action(step) }
        let hasGathered = run.offered > 0
        if hasGathered, run.holdsMuch { return .flush }
        // Who waits for the answer may go before it comes, and would never be told.
        if run.isToAskAgain, let action = giveSuspected(of: run) { return action }
        if !hasGathered, run.isNeedless(floor) { return finish(run) }
        guard !run.isToAskAgain else { return hasGathered ? .flush : .wait }
        while true {
            switch run.replay.next() {
            case .event(let entry, let segment, _):
                if entry.id > run.hadUpTo {
                    run.forgetSuspected()
                    return StreamLane.action(run.give(.event(entry, in: segment)))
                }
                if let action = giveSuspected(of: run, at: entry.id) { return action }
            case .gap(let gap, let id):
                guard let to = gap.to, to <= run.hadUpTo else { return StreamLane.action(run.give(.gap(gap, id: id))) }
                if let action = giveSuspected(of: run, at: to) { return action }
            case .read(let requests): return .read(requests)
            case .wait: return hasGathered ? .flush : .wait
            case .done: return hasGathered ? .flush : finish(run)
            }
        }
    }

    private static func action(_ step: Replaying.Step) -> ReplayAction {
        switch step {
        case .event(let entry, let segment): .event(entry, in: segment)
        case .gap(let gap, let id): .gap(gap, id: id)
        }
    }

    private mutating func giveSuspected(of run: Replaying, at id: EventID = .zero) -> ReplayAction? {
        guard let step = run.giveSuspected(at: id) else { return nil }
        cameWith = .zero
        return StreamLane.action(step)
    }

    private mutating func finish(_ run: Replaying) -> ReplayAction {
        floor = max(floor, run.mark)
        behind?.stage = .reading(run.position)
        return .done
    }

    /// What a request has brought. May race with the end.
    mutating func received(_ outcome: Replay.Outcome, request: Int, of run: Replaying) -> Replaying.PageAction {
        guard self.run === run else { return .nothing }
        if run.replay.received(outcome, lane: request) { return run.isToAskAgain ? .nothing : .proceed }
        // The broker is away: the stream stays open, and goes on when that is back.
        guard !run.isToAskAgain else { return .nothing }
        run.isToAskAgain = true
        return .askLater
    }
}
