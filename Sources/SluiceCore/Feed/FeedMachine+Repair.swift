// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// After the connection was lost the node repairs itself: once for all its streams, from the logs, while what arrives is
/// held back.
extension FeedMachine {
    private static let markersPerRead = 512
    private static let retryDelay = TimeAmount.milliseconds(200)
    /// For what the other nodes say that another data set has lost. Until that is known streams must be told no place in it: whoever
    /// leaves with one would come back with a cursor behind a loss of which nobody had told it.
    private static let reportTime = TimeAmount.milliseconds(400)

    mutating func hold(_ payload: UnsafeRawBufferPointer, for number: TargetNumber) {
        repair?.held.append(payload, for: number)
        guard let bytes = repair?.held.bytes, bytes > limits.held else { return }
        // Whoever has filled the room pays for it. What was logged is found missing later, and read from its log.
        let noisy = repair?.held.shed(to: limits.held / 2) ?? []
        let targets = noisy.compactMap { interests[$0]?.target }
        actions.append(.complain(.heldTooMuch, about: targets.first))
        if !targets.isEmpty { actions.append(.gap(Gap(from: nil, to: nil, targets: targets), id: nil)) }
    }

    // MARK: Beginning

    /// The connection is back, every channel confirmed: find out which logs have news.
    mutating func beginRepair(now: NIODeadline) {
        // Before anything is read: a Redis that came back with older data has to be told, and whoever has just become the
        // master has to note that its ids are its own from here on.
        actions.append(.tick(known: reading))
        // Without a reading no stream has begun, or with a reading of its own.
        guard reading > .zero || firstMark != nil else {
            actions.append(.readable(born: born))
            askForLineage()
            repair?.isReleasing = true
            return release(now: now)
        }
        let attempt = newAttempt(of: nil)
        let targets = interests.targets
        let starts = stride(from: 0, to: max(targets.count, 1), by: FeedMachine.markersPerRead)
        repair?.attempt = attempt
        repair?.begin(reads: starts.underestimatedCount)
        actions.append(.repairing)
        for start in starts {
            let some = Array(targets[start..<min(start + FeedMachine.markersPerRead, targets.count)])
            actions.append(.readMarkers(MarkerRead(targets: some, purpose: .repair(attempt))))
        }
    }

    mutating func repairMarkers(
        _ answer: ClockReading, of targets: [Target], _ attempt: RepairAttempt, now: NIODeadline
    ) {
        guard repair?.attempt == attempt, let markers = repair?.received(answer, of: targets), let repair
        else { return }
        born = repair.born
        if learn(repair.lineage, markers) { isNew = true }
        // Once: where many deployments share a server, its lineage may change with each look.
        if isNew, !repair.hasWaited {
            self.repair?.hasWaited = true
            return repairAgain(at: now + FeedMachine.reportTime)
        }
        tell(repair.lineage)
        // Before a stream reads a log: of what was published before the birth it is told that anything may be missing.
        actions.append(.readable(born: born))
        let arrived = reading > .zero ? reading : firstMark ?? repair.mark
        // Markers outlive an outage of less than a day; what has none had no event.
        let isSuspicious = born > arrived.milliseconds || Replay.isDayLater(repair.mark, than: arrived)
        var starts: [Target: EventID] = [:]
        // Streams are told the holes of these at once, and not as the logs are read.
        var informed: Set<Target> = []
        for (target, marker) in markers {
            guard let interest = interests[target] else { continue }
            // Not at the reading: what was lost in silence before it, and not noticed yet, is read, too.
            let known = interest.known ?? arrived
            // Nor there, if the data set has gone its own way since.
            let start = min(known, interest.rereadAfter ?? known)
            if isNew || interest.knowsHoles { informed.insert(target) }
            learn(marker, of: interest, isNew: isNew)
            let hasNews = marker.map { $0.id > start || $0.holes.contains { $0.upTo > start } } ?? false
            guard isSuspicious || hasNews else { continue }
            starts[target] = start
            interest.repairBegins(after: start)
        }
        self.repair?.ends = markers.compactMap { target, marker in
            marker.flatMap { $0.ends ? (target, $0.id) : nil }
        }
        self.repair?.replay = Replay(
            targets: Array(starts.keys), from: .after(starts.values.max() ?? arrived), earlier: starts,
            through: repair.mark, born: born, bytesMax: FeedMachine.replayBytes,
            followed: Set(starts.keys.filter { interests[$0]?.known != nil }),
            informed: informed)
        advancing.append(attempt)
    }

    /// A read has failed, and all is read anew after a while.
    mutating func repairFailed(_ attempt: RepairAttempt, now: NIODeadline) {
        guard repair?.attempt == attempt else { return }
        repairAgain(at: now + FeedMachine.retryDelay)
    }

    private mutating func repairAgain(at time: NIODeadline) {
        let next = newAttempt(of: nil)
        repair?.attempt = next
        repair?.replay = nil
        actions.append(.wake(next, at: time))
    }

    /// It is the time that ``FeedAction/wake(_:at:)`` named.
    package mutating func woken(_ attempt: RepairAttempt, now: NIODeadline) {
        if let number = attempt.target {
            begin(attempt, of: number, now: now)
        } else if repair?.attempt == attempt, isConnected {
            beginRepair(now: now)
        }
    }

    // MARK: Reading

    /// What a ``FeedRead`` has brought.
    package mutating func received(_ outcome: Replay.Outcome, of read: FeedRead, now: NIODeadline) {
        let attempt = read.attempt
        if let number = attempt.target {
            guard let interest = interests[number], interest.repair?.attempt == attempt else { return }
            guard interest.repair?.replay?.received(outcome, lane: read.request.lane) == true else {
                return failed(interest, now: now)
            }
        } else {
            guard repair?.attempt == attempt else { return }
            guard repair?.replay?.received(outcome, lane: read.request.lane) == true else {
                return repairFailed(attempt, now: now)
            }
        }
        advancing.append(attempt)
    }

    /// One step of a repair.
    mutating func advance(_ attempt: RepairAttempt, now: NIODeadline) {
        guard let (step, mark) = step(attempt) else {
            advancing.removeFirst()
            return
        }
        switch step {
        case .event(let entry, let segment, let target):
            guard let interest = interests[target], interest.repairBrings(entry.id, ends: entry.ends) else { return }
            recent.append(entry.id, interest.number)
            actions.append(.replay(entry, in: segment, for: interest.number))
        case .gap(let gap, let id):
            tell(gap, id: id)
        case .read(let requests):
            advancing.removeFirst()
            for request in requests {
                actions.append(.readLog(FeedRead(request: request, through: mark, attempt: attempt)))
            }
        case .wait:
            advancing.removeFirst()
        case .done:
            advancing.removeFirst()
            if let number = attempt.target {
                if let interest = interests[number] { finish(interest, isRead: true, now: now) }
            } else {
                finishRepair(upTo: mark, now: now)
            }
        }
    }

    /// nil: the attempt is over.
    private mutating func step(_ attempt: RepairAttempt) -> (Replay.Step, mark: EventID)? {
        let step: Replay.Step?
        let mark: EventID?
        if let number = attempt.target {
            guard let interest = interests[number], interest.repair?.attempt == attempt else { return nil }
            step = interest.repair?.replay?.next()
            mark = interest.repair?.mark
        } else {
            guard repair?.attempt == attempt else { return nil }
            step = repair?.replay?.next()
            mark = repair?.mark
        }
        guard let step, let mark else { return nil }
        return (step, mark)
    }

    /// A repair that had to begin anew finds again what was told; and what is lost this node may have had.
    private mutating func tell(_ gap: Gap, id: EventID?) {
        var untold = gap.targets
        if let to = gap.to {
            untold.removeAll { interests[$0].map { to <= $0.lostUpTo || $0.heard?.contains(to) ?? false } ?? false }
            for target in untold { interests[target]?.lost(upTo: to) }
        }
        if !untold.isEmpty { actions.append(.gap(Gap(from: gap.from, to: gap.to, targets: untold), id: id)) }
    }

    /// An event that closed its topic can't be delivered, but that it was there is known.
    mutating func tellEnd(of target: Target, by id: EventID) {
        guard let interest = interests[target], interest.last < id else { return }
        actions.append(.ended(target, id))
    }

    // MARK: Going live

    private mutating func finishRepair(upTo mark: EventID, now: NIODeadline) {
        for (target, id) in repair?.ends ?? [] { tellEnd(of: target, by: id) }
        interests.areReread()
        isNew = false
        reading = max(reading, mark)
        actions.append(.repaired(upTo: reading))
        actions.append(.ready)
        repair?.replay = nil
        repair?.isReleasing = true
        release(now: now)
    }

    /// Hands on what was held, some of it in each turn: what arrives meanwhile waits behind it.
    package mutating func release(now: NIODeadline) {
        guard repair?.isReleasing == true else { return }
        let rest = (repair?.held.bytes ?? 0) - limits.released
        while let bytes = repair?.held.bytes, bytes > rest, let (payload, number) = repair?.held.popFirst() {
            deliver(payload, for: number, now: now)
        }
        guard repair?.held.isEmpty == true else { return actions.append(.goOn) }
        repair = nil
        // Streams that were given late events, which have no ids, are told their place: else they would get those again.
        if reading > .zero { actions.append(.reading(reading, born: born)) }
    }

    /// Takes a message that was held.
    mutating func deliver(_ payload: ByteBuffer, for number: TargetNumber, now: NIODeadline) {
        guard let interest = interests[number],
            let envelope = payload.withUnsafeReadableBytes({ take($0, of: interest, now: now) })
        else { return }
        actions.append(.deliver(envelope, payload, for: number))
    }
}
