// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Logging
import NIOCore
import SluiceCore

/// What the feed has lost, and what has arrived since and must wait until the loss is made good.
final class Repair {
    /// Everything up to this id has been delivered.
    fileprivate(set) var after: EventID
    /// Of these targets only what came up to an earlier id.
    fileprivate var earlier: [Target: EventID] = [:]
    /// Only this target has lost something; nil: the connection was lost, and so perhaps something of each.
    fileprivate let target: Target?
    /// What the repair brings; later ids are among what is held.
    fileprivate var mark = EventID.zero
    fileprivate var replay: Replay?
    /// Which replay it is: what an earlier one has asked for is of no use to the next.
    fileprivate var attempt = 0
    fileprivate var isToBeginAgain = false
    fileprivate var held: Deque<(payload: ByteBuffer, number: TargetNumber)> = []
    fileprivate var heldBytes = 0

    init(after: EventID, target: Target? = nil) {
        self.after = after
        self.target = target
    }

    /// The connection was lost, perhaps in the middle of another repair.
    init(after: EventID, instead other: Repair?) {
        self.after = after
        self.target = nil
        earlier = other?.earlier ?? [:]
        if let other, let target = other.target { earlier[target] = other.after }
    }

    fileprivate func after(_ target: Target) -> EventID {
        earlier[target].map { min($0, after) } ?? after
    }
}

/// The node repairs itself: once for all its streams, from the logs, while what arrives is held back.
extension Hub {
    /// What may be held while the logs are read, in bytes.
    private static let heldBytesMax = 64 * 1024 * 1024
    private static let markersPerRead = 512
    private static let retryDelay = TimeAmount.milliseconds(200)
    private static let batchBytes = 64 * 1024
    /// What a repair may hold of the logs that it reads.
    private static let replayBytes = 8 << 20

    func hold(_ payload: UnsafeRawBufferPointer, for number: TargetNumber, in repair: Repair) {
        repair.held.append((ByteBuffer(bytes: payload), number))
        repair.heldBytes += payload.count
        if repair.heldBytes > Hub.heldBytesMax {
            logger.warning("more has arrived than can be held during a repair; the feed begins anew")
            repair.held.removeAll()
            repair.heldBytes = 0
            broker.reconnect()
        }
    }

    // MARK: Beginning

    /// The connection is back, every channel confirmed: find out which logs have news.
    func begin(_ repair: Repair) {
        counters.repairs.add(1)
        // An attempt that was cut off has brought everything up to here.
        repair.after = max(repair.after, builder.clock)
        let targets = Array(interests.keys)
        let chunks = stride(from: 0, to: max(targets.count, 1), by: Hub.markersPerRead).map {
            Array(targets[$0..<min($0 + Hub.markersPerRead, targets.count)])
        }
        let readings = chunks.map { broker.mark(markersOf: $0) }
        EventLoopFuture.whenAllSucceed(readings, on: eventLoop).assumeIsolated().whenComplete { [self] result in
            guard self.repair === repair, isConnected else { return }
            switch result {
            case .failure: again(repair)
            case .success(let readings):
                guard let first = readings.first else { return }
                born = first.born
                let markers = readings.flatMap(\.markers)
                // Markers outlive an outage of less than a day; what has none had no event.
                let isSuspicious =
                    first.born > repair.after.milliseconds || Replay.isDayLater(first.clock, than: repair.after)
                let news = zip(targets, markers).filter { target, marker in
                    isSuspicious || marker.map { $0.id > repair.after(target) } ?? false
                }
                start(repair, targets: news.map(\.0), mark: first.clock)
            }
        }
    }

    /// An event has come whose predecessor has not.
    func startRepair(before envelope: Envelope, _ payload: UnsafeRawBufferPointer, for number: TargetNumber) {
        guard let interest = interests.values.first(where: { $0.number == number }), let known = interest.known,
            let previous = envelope.previous
        else { return }
        startRepair(of: interest.target, after: known, through: previous)
        if let repair { hold(payload, for: number, in: repair) }
    }

    func startRepair(of target: Target, after known: EventID, through mark: EventID) {
        flush()
        logger.warning("an event was lost on its way; reading it from its log", metadata: ["target": "\(target)"])
        counters.repairs.add(1)
        let repair = Repair(after: known, target: target)
        self.repair = repair
        start(repair, targets: [target], mark: mark)
    }

    private func start(_ repair: Repair, targets: [Target], mark: EventID) {
        repair.mark = mark
        repair.attempt += 1
        repair.replay = Replay(
            targets: targets, from: .after(repair.after), earlier: repair.earlier, through: mark, born: born,
            bytesMax: Hub.replayBytes)
        repairedUpTo = max(repairedUpTo, mark)
        advance(repair)
    }

    private func again(_ repair: Repair) {
        guard !repair.isToBeginAgain else { return }
        repair.isToBeginAgain = true
        eventLoop.assumeIsolated().scheduleTask(in: Hub.retryDelay) { [self] in
            repair.isToBeginAgain = false
            guard self.repair === repair, isConnected else { return }
            if repair.target == nil {
                begin(repair)
            } else {
                // Its pages may be half read: the whole feed is looked up instead.
                let whole = Repair(after: builder.clock, instead: repair)
                whole.held = repair.held
                whole.heldBytes = repair.heldBytes
                self.repair = whole
                begin(whole)
            }
        }
    }

    // MARK: Reading

    private func advance(_ repair: Repair) {
        while self.repair === repair, let step = repair.replay?.next() {
            switch step {
            case .event(let entry, let segment, let target): deliver(entry, of: segment, target)
            case .gap(let gap, let id):
                flush()
                // A repair that had to begin anew finds again what was told.
                let untold = gap.targets.filter { target in
                    gap.to.map { $0 > interests[target]?.lostUpTo ?? .zero } ?? true
                }
                for target in untold {
                    interests[target]?.lostUpTo = max(interests[target]?.lostUpTo ?? .zero, gap.to ?? .zero)
                }
                if !untold.isEmpty { sendToAll(.gap(Gap(from: gap.from, to: gap.to, targets: untold), id: id)) }
            case .read(let requests): return read(requests, repair)
            case .wait: return
            case .done: return finish(repair)
            }
            if builder.pendingBytes > Hub.batchBytes { flush() }
        }
    }

    private func read(_ requests: [Replay.Request], _ repair: Repair) {
        let attempt = repair.attempt
        for request in requests {
            logReads.read(
                request.target, after: request.after, through: repair.mark, bytes: request.bytes, isUrgent: true
            ) { [self] outcome in
                guard self.repair === repair, repair.attempt == attempt, !repair.isToBeginAgain else { return }
                switch outcome {
                case .slice(let slice): repair.replay?.received(slice, lane: request.lane)
                case .unreadable: repair.replay?.unreadable(lane: request.lane)
                case .failed: return again(repair)
                }
                advance(repair)
            }
        }
    }

    private func deliver(_ entry: LogSegment.Entry, of segment: LogSegment, _ target: Target) {
        guard let interest = interests[target], entry.id > interest.last else { return }
        repairedIDs.insert(entry.id)
        interest.last = entry.id
        builder.append(entry, of: segment, target: interest.number)
    }

    // MARK: Going live

    /// What one target was repaired for has come, or is lost, or never was: it is not looked for again.
    private func settle(_ target: Target, after repair: Repair) {
        guard let interest = interests[target] else { return }
        if max(interest.last, interest.lostUpTo) < repair.mark {
            flush()
            let from = interest.known ?? repair.after
            sendToAll(.gap(Gap(from: from, to: repair.mark, targets: [target]), id: repair.mark))
        }
        interest.lostUpTo = max(interest.lostUpTo, repair.mark)
    }

    private func finish(_ repair: Repair) {
        if let target = repair.target {
            settle(target, after: repair)
        } else {
            builder.raise(clock: repair.mark)
            feedIsWhole()
        }
        self.repair = nil
        while let (payload, number) = repair.held.popFirst() {
            if let next = self.repair {
                // Something else is missing before this one; the rest waits on.
                payload.withUnsafeReadableBytes { hold($0, for: number, in: next) }
            } else {
                payload.withUnsafeReadableBytes { receive($0, for: number) }
            }
        }
        if self.repair == nil { flush() }
    }
}
