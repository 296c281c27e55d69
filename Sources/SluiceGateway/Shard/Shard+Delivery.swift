// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// How streams are written: each batch to those that are live, the ring to those that are behind, the logs to those
/// that the ring has passed or that came back.
extension Shard {
    /// What one stream may read from the ring before the others have their turn, in bytes.
    private static let catchUpBytes = 256 * 1024
    /// What is gathered from the logs for one write, in bytes.
    private static let replayBytes = 64 * 1024
    private static let retryDelay = TimeAmount.milliseconds(250)

    // MARK: Live

    /// The hot path: one write for each stream, whatever it gets from this batch.
    func deliver(_ batch: Batch) {
        ring.append(batch) { dropped($0) }
        newestOfKey.note(batch)
        clock = max(clock, batch.clock)
        let hasEnds = mark(batch)
        if !dirty.isEmpty { writeDirty(batch) }
        if hasEnds { endFinished(batch) }
    }

    private func writeDirty(_ batch: Batch) {
        let now = NIODeadline.now()
        var delivered = 0
        if batch.groups.contains(where: \.hasLate) { hadLate.append(contentsOf: dirty) }
        writer.begin(batch)
        for index in dirty.indices {
            let stream = dirty[index]
            if stream.isDirtyTwice {
                writer.select(where: { stream.listens(to: $0) }, for: stream.state, framing: stream.framing)
            } else {
                writer.select(group: Int(stream.dirtyGroup), for: stream.state, framing: stream.framing)
            }
            delivered += write(to: stream, now: now)
        }
        writer.end()
        dirty.removeAll(keepingCapacity: true)
        counters.eventsDelivered.add(delivered)
    }

    /// Finds the streams that this batch is for.
    ///
    /// - Returns: whether a topic has ended.
    private func mark(_ batch: Batch) -> Bool {
        var hasEnds = false
        for (index, group) in batch.groups.enumerated() {
            guard let listeners = byNumber[group.target] else { continue }
            if group.highest > .zero {
                listeners.end = group.ends ? .ended(group.highest) : .open
                hasEnds = hasEnds || group.ends
            }
            for stream in listeners.streams where stream.state.isLive {
                if stream.dirtyBatch == batch.end {
                    stream.isDirtyTwice = true
                } else {
                    stream.dirtyBatch = batch.end
                    stream.dirtyGroup = Int32(index)
                    stream.isDirtyTwice = false
                    dirty.append(stream)
                }
            }
        }
        return hasEnds
    }

    /// Ends the streams for which nothing can come any more.
    private func endFinished(_ batch: Batch) {
        for group in batch.groups where group.ends {
            for stream in byNumber[group.target]?.streams ?? [] where stream.state.isLive && stream.endOfAll != nil {
                finish(stream, now: .now())
            }
        }
    }

    /// A batch has left the ring.
    private func dropped(_ batch: Batch) {
        newestOfKey.forget(batch)
        for group in batch.groups where group.hasLiveOnly {
            byNumber[group.target]?.liveOnlyDropped = batch.end
        }
    }

    /// Writes what the writer has selected.
    ///
    /// - Returns: how many events went out, at least in part.
    private func write(to stream: Stream, now: NIODeadline) -> Int {
        let count = writer.selectedCount
        // Once a stream has ended, its descriptor may be another connection's.
        guard count > 0, stream.state.phase != .ended else { return 0 }
        let sent =
            stream.socket.isDirect
            ? writer.withSelectedBytes { stream.socket.send($0) } : stream.socket.send(writer.selectedBuffer)
        if sent == writer.selectedBytes {
            stream.state.wrote(upTo: writer.highest, now: now)
            return count
        }
        let cut = writer.cut(after: sent)
        stream.state.wrote(upTo: cut.highest, now: now)
        stream.state.fellBehind(at: cut.nextPosition, now: now)
        queue(cut.rest, for: stream)
        return cut.count
    }

    // MARK: Behind

    /// Goes on with a stream: from the logs, from the ring, until it is live or its socket is full.
    func advance(_ stream: Stream) {
        // A timer or a task may come after the end.
        guard stream.state.phase != .ended else { return }
        if stream.state.phase == .replaying { return advanceReplay(stream) }
        let now = NIODeadline.now()
        tellOwedGap(stream, now: now)
        var bytes = 0
        var delivered = 0
        while case .read(let position) = stream.state.next(ringStart: ring.start, ringEnd: ring.end),
            let batch = ring.batch(at: position)
        {
            writer.begin(batch)
            writer.select(
                where: { stream.listens(to: $0) }, for: stream.state, from: position, framing: stream.framing,
                isSuperseded: stream.conflates ? { [newestOfKey] in newestOfKey.isSuperseded($0, at: $1) } : nil)
            bytes += writer.selectedBytes
            stream.state.read(upTo: batch.end)
            delivered += write(to: stream, now: now)
            writer.end()
            if bytes > Shard.catchUpBytes {
                eventLoop.assumeIsolated().execute { [self] in advance(stream) }
                break
            }
        }
        counters.eventsDelivered.add(delivered)
        switch stream.state.next(ringStart: ring.start, ringEnd: ring.end) {
        case .overrun: refill(stream, now: now)
        case .nothing where stream.state.isLive: becameLive(stream, now: now)
        case .nothing, .read: break
        }
    }

    private func becameLive(_ stream: Stream, now: NIODeadline) {
        if stream.owesCheckpoint, stream.state.floor > .zero || clock > .zero {
            stream.owesCheckpoint = false
            let cursor = max(clock, stream.state.floor)
            stream.state.wrote(upTo: cursor, now: now)
            send(lines: ControlBlock.checkpoint(Cursor(cursor)), to: stream, now: now)
        }
        if let end = stream.endOfAll, stream.state.floor >= end || clock >= end { finish(stream, now: now) }
    }

    /// The ring has passed the stream: it goes on from the logs, like one that comes back.
    private func refill(_ stream: Stream, now: NIODeadline) {
        counters.streamsOverrun.add(1)
        guard case .reading(let position) = stream.state.phase else { return }
        let lost = stream.subscriptions.filter { $0.liveOnlyDropped > position }.map(\.target)
        if !lost.isEmpty { send(Gap(from: nil, to: nil, targets: lost), id: nil, to: stream, now: now) }
        // From the ring's start, because live-only events have no id by which to find a later place; what the logs have
        // brought by then is skipped.
        startReplay(
            stream, after: stream.state.floor, mark: coveredSince(stream), position: ring.start, now: now)
        advanceReplay(stream)
    }

    // MARK: Replay

    private func advanceReplay(_ stream: Stream) {
        guard let run = stream.replay, !run.isReading, !stream.state.isBlocked else { return }
        let now = NIODeadline.now()
        var bytes = ByteBuffer()
        var highest = EventID.zero
        var delivered = 0
        var isOver = false
        loop: while !stream.state.isBlocked {
            switch run.replay.next() {
            case .event(let entry, _):
                highest = append(entry, to: &bytes, for: stream) ?? highest
                delivered += 1
            case .gap(let gap, let id):
                counters.gaps.add(1)
                let lines = Shard.lines(gap, id: id)
                writer.append(lines: lines, to: &bytes, framing: stream.framing)
                if let id { highest = max(highest, id) }
            case .read(let requests):
                run.isReading = true
                read(requests, for: stream)
                break loop
            case .wait:
                break loop
            case .done:
                isOver = true
                break loop
            }
            if bytes.readableBytes > Shard.replayBytes { flush(&bytes, upTo: highest, to: stream, now: now) }
        }
        flush(&bytes, upTo: highest, to: stream, now: now)
        counters.eventsDelivered.add(delivered)
        if isOver {
            stream.replay = nil
            stream.state.begin(after: run.mark, at: run.position, now: now)
            advance(stream)
        } else if stream.state.isBlocked {
            run.replay.forgetPages()
        }
    }

    /// - Returns: the id that is out with it; nil if the stream has had it.
    private func append(_ entry: LogEntry, to bytes: inout ByteBuffer, for stream: Stream) -> EventID? {
        guard entry.id > stream.state.floor else { return nil }
        entry.data.withUnsafeReadableBytes { data in
            switch stream.framing {
            case .chunked: _ = Frame.append(id: entry.id, type: entry.type, data: data, to: &bytes)
            case .plain:
                var framed = ByteBuffer()
                let frame = Frame.append(id: entry.id, type: entry.type, data: data, to: &framed).frame
                if var block = framed.getSlice(at: frame.block.lowerBound, length: frame.block.count) {
                    bytes.writeBuffer(&block)
                }
            }
        }
        return entry.id
    }

    private func flush(_ bytes: inout ByteBuffer, upTo highest: EventID, to stream: Stream, now: NIODeadline) {
        guard bytes.readableBytes > 0 else { return }
        stream.state.wrote(upTo: highest, now: now)
        write(bytes, to: stream, now: now)
        bytes.clear()
    }

    private func read(_ requests: [Replay.Request], for stream: Stream) {
        guard let hub else { return }
        let bound = NIOLoopBound((shard: self, stream: stream), eventLoop: eventLoop)
        hub.eventLoop.flatSubmit {
            let reads = requests.map { hub.value.read($0.target, after: $0.after) }
            return EventLoopFuture.whenAllSucceed(reads, on: hub.eventLoop)
        }.hop(to: eventLoop).whenComplete { result in
            bound.value.shard.received(result, requests, for: bound.value.stream)
        }
    }

    private func received(_ result: Result<[LogPage], any Error>, _ requests: [Replay.Request], for stream: Stream) {
        guard stream.state.phase == .replaying, let run = stream.replay else { return }
        run.isReading = false
        switch result {
        case .success(let pages):
            for (request, page) in zip(requests, pages) { run.replay.received(page, lane: request.lane) }
            if stream.state.isBlocked { run.replay.forgetPages() }
            advance(stream)
        case .failure:
            // The broker is away; the stream stays open and goes on when it is back.
            run.replay.failed()
            eventLoop.assumeIsolated().scheduleTask(in: Shard.retryDelay) { [self] in advance(stream) }
        }
    }

    // MARK: Gaps

    /// The node has found that something is lost for good: everyone concerned is told.
    func tell(_ gap: Gap, id: EventID?) {
        if let to = gap.to { ring.hole(upTo: to) }
        let now = NIODeadline.now()
        let lost = Set(gap.targets)
        var told: [ObjectIdentifier: Stream] = [:]
        for target in gap.targets {
            for stream in subscribers[target]?.streams ?? [] { told[ObjectIdentifier(stream)] = stream }
        }
        // As for late events: another topic may have moved the stream's floor behind the loss.
        for stream in told.values where gap.to.map({ $0 > stream.state.start }) ?? true {
            // Of a stream's few targets, because an outage may have cost all targets of the node something.
            let own = Gap(from: gap.from, to: gap.to, targets: stream.targets.filter(lost.contains))
            switch stream.state.phase {
            case .opening, .ended: continue
            case .replaying:
                // What its own reading covers, it will find itself.
                if let to = gap.to, let run = stream.replay, to > run.mark { owe(own, to: stream) }
            case .live, .reading:
                if stream.state.isLive { send(own, id: id, to: stream, now: now) } else { owe(own, to: stream) }
            }
        }
    }

    /// Several are told as one.
    private func owe(_ gap: Gap, to stream: Stream) {
        guard let owed = stream.owedGap.first else {
            stream.owedGap = [gap]
            return
        }
        let from = owed.from.flatMap { old in gap.from.map { min(old, $0) } }
        let to = owed.to.flatMap { old in gap.to.map { max(old, $0) } }
        stream.owedGap = [Gap(from: from, to: to, targets: Array(Set(owed.targets + gap.targets)))]
    }

    private func tellOwedGap(_ stream: Stream, now: NIODeadline) {
        guard let gap = stream.owedGap.first, !stream.state.isBlocked else { return }
        stream.owedGap = []
        send(gap, id: nil, to: stream, now: now)
    }

    private func send(_ gap: Gap, id: EventID?, to stream: Stream, now: NIODeadline) {
        counters.gaps.add(1)
        let carried = id.flatMap { $0 > stream.state.floor ? $0 : nil }
        if let carried { stream.state.wrote(upTo: carried, now: now) }
        send(lines: Shard.lines(gap, id: carried), to: stream, now: now)
    }

    private static func lines(_ gap: Gap, id: EventID?) -> String {
        ControlBlock.gap(
            from: gap.from.map { Cursor($0) }, to: gap.to.map { Cursor($0) }, targets: gap.targets,
            id: id.map { Cursor($0) })
    }

    // MARK: What the gateway itself writes

    /// Writes lines of the gateway's own, after the head and the prelude if those are not out. Nothing while the socket is
    /// full, but for what must not be lost.
    func send(lines: String, to stream: Stream, now: NIODeadline) {
        var bytes = ByteBuffer()
        var text = lines
        if !stream.isHeadSent {
            begin(stream, head: &bytes)
            text = ControlBlock.prelude(retryMilliseconds: limits.retry.next()) + lines
        } else if lines == ControlBlock.heartbeat, stream.state.isBlocked {
            return
        }
        guard !text.isEmpty else { return }
        writer.append(lines: text, to: &bytes, framing: stream.framing)
        write(bytes, to: stream, now: now)
    }

    /// If the socket is full, it waits in the channel.
    private func write(_ bytes: ByteBuffer, to stream: Stream, now: NIODeadline) {
        guard stream.state.phase != .ended else { return }
        let sent = stream.state.isBlocked ? 0 : stream.socket.send(bytes)
        if sent == bytes.readableBytes { return }
        stream.state.blocked(ringEnd: ring.end, now: now)
        queue(bytes.getSlice(at: bytes.readerIndex + sent, length: bytes.readableBytes - sent) ?? bytes, for: stream)
    }

    /// The rest of a frame that was begun; nothing else is written before it is out.
    private func queue(_ rest: ByteBuffer, for stream: Stream) {
        let bound = NIOLoopBound((shard: self, stream: stream), eventLoop: eventLoop)
        stream.queuedWrites += 1
        stream.socket.queue(rest, onProgress: { bound.value.stream.state.progressed(now: .now()) }).whenSuccess {
            // Not in this call: the channel may have taken the bytes before `queue` returns.
            bound.eventLoop.execute { bound.value.shard.writable(bound.value.stream) }
        }
    }

    private func writable(_ stream: Stream) {
        stream.queuedWrites -= 1
        guard stream.state.phase != .ended, stream.queuedWrites == 0 else { return }
        stream.state.unblocked(now: .now())
        advance(stream)
    }
}
