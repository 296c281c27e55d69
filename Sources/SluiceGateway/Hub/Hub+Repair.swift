// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import SluiceCore

/// After the connection was lost the node repairs itself: once for all its streams, from the logs, while what arrives is
/// held back.
extension Hub {
    /// What may be held while the logs are read, in bytes.
    static let heldBytesMax = 64 * 1024 * 1024
    private static let markersPerRead = 512
    private static let retryDelay = TimeAmount.milliseconds(200)
    private static let batchBytes = 64 * 1024
    /// What a repair may hold of the logs that it reads.
    static let replayBytes = 8 << 20
    /// What was held and is handed on in one turn of the loop, in bytes.
    private static let releasedPerTurn = 1024 * 1024

    func hold(_ payload: UnsafeRawBufferPointer, for number: TargetNumber, in repair: FeedRepair) {
        repair.hold(payload, for: number)
        guard repair.heldBytes > Hub.heldBytesMax else { return }
        // Whoever has filled the room pays for it. What was logged is found missing later, and read from its log.
        let noisy = repair.shed(to: Hub.heldBytesMax / 2)
        complain(
            "more has arrived than can be held during a repair; live events were dropped", noisy.first ?? number, [:])
        let targets = noisy.compactMap { byNumber[$0]?.target }
        if !targets.isEmpty { sendToAll(.gap(Gap(from: nil, to: nil, targets: targets), id: nil)) }
    }

    // MARK: Beginning

    /// The connection is back, every channel confirmed: find out which logs have news.
    func begin(_ repair: FeedRepair) {
        counters.repairs.add(1)
        let targets = Array(interests.keys)
        let chunks = stride(from: 0, to: max(targets.count, 1), by: Hub.markersPerRead).map {
            Array(targets[$0..<min($0 + Hub.markersPerRead, targets.count)])
        }
        let readings = chunks.map { broker.mark(markersOf: $0) }
        EventLoopFuture.whenAllSucceed(readings, on: eventLoop).assumeIsolated().whenComplete { [self] result in
            guard isUnderWay(repair), isConnected else { return }
            switch result {
            case .failure: again(repair)
            case .success(let readings):
                guard let first = readings.first else { return }
                born = first.born
                start(repair, zip(targets, readings.flatMap(\.markers)).map { $0 }, through: first.clock)
            }
        }
    }

    private func start(_ repair: FeedRepair, _ markers: [(target: Target, marker: LogMarker?)], through mark: EventID) {
        // Markers outlive an outage of less than a day; what has none had no event.
        let isSuspicious = born > repair.after.milliseconds || Replay.isDayLater(mark, than: repair.after)
        var news: [Interest] = []
        for (target, marker) in markers {
            guard let interest = interests[target] else { continue }
            if isSuspicious || marker.map({ $0.id > repair.after(interest) }) ?? false { news.append(interest) }
            if let marker, marker.ends { repair.ends[target] = marker.id }
        }
        repair.begin(news, through: mark, born: born)
        repairedUpTo = max(repairedUpTo, mark)
        advance(repair)
    }

    private func again(_ repair: Repair) {
        guard !repair.isToBeginAgain else { return }
        if let repair = repair as? TargetRepair { return failed(repair) }
        repair.isToBeginAgain = true
        eventLoop.assumeIsolated().scheduleTask(in: Hub.retryDelay) { [self] in
            repair.isToBeginAgain = false
            guard isUnderWay(repair), isConnected, let repair = repair as? FeedRepair else { return }
            begin(repair)
        }
    }

    // MARK: Reading

    /// It has not been cut off, nor has another taken its place.
    func isUnderWay(_ repair: Repair) -> Bool {
        if let target = repair as? TargetRepair { return targetRepairs[target.interest.number] === target }
        return self.repair === repair
    }

    func advance(_ repair: Repair) {
        while isUnderWay(repair), let step = repair.replay?.next() {
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
                guard isUnderWay(repair), repair.attempt == attempt, !repair.isToBeginAgain else { return }
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

    private func finish(_ repair: Repair) {
        if let repair = repair as? TargetRepair { return finish(repair, isRead: true) }
        guard let repair = repair as? FeedRepair else { return }
        for (target, id) in repair.ends { tellEnd(of: target, by: id) }
        feedIsWhole(upTo: repair.mark)
        release(repair)
    }

    /// An event that closed its topic can't be delivered, but that it was there is known.
    func tellEnd(of target: Target, by id: EventID) {
        guard let interest = interests[target], interest.last < id else { return }
        flush()
        sendToAll(.ended(target, id))
    }

    /// Hands on what was held, some of it in each turn: what arrives meanwhile waits behind it.
    private func release(_ repair: FeedRepair) {
        guard isUnderWay(repair) else { return }
        var bytes = 0
        while bytes < Hub.releasedPerTurn {
            guard let (payload, number) = repair.next() else {
                self.repair = nil
                break
            }
            bytes += payload.readableBytes + TargetRepair.messageBytes
            payload.withUnsafeReadableBytes { take($0, for: number) }
        }
        flush()
        if self.repair != nil { eventLoop.assumeIsolated().execute { [self] in release(repair) } }
    }
}
