// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// How streams are written: each batch to those that are live, the ring to those that are behind. (The logs: see
/// `Shard+Replay.swift`.)
extension Shard {
    /// What one stream may read from the ring before the others have their turn, in bytes.
    private static let catchUpBytes = 256 * 1024

    // MARK: Live

    /// The hot path: one write for each stream, whatever it gets from this batch.
    func deliver(_ batch: Batch) {
        ring.append(batch) { dropped($0) }
        newestOfKey.note(batch)
        newest = max(newest, batch.clock)
        let hasEnds = mark(batch)
        if !dirty.isEmpty { writeDirty(batch) }
        if hasEnds { endFinished(batch) }
    }

    private func writeDirty(_ batch: Batch) {
        let now = eventLoop.now
        var delivered = 0
        if batch.groups.contains(where: \.hasLate) {
            hadLate = true
            for stream in dirty { stream.hadLate = true }
        }
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

    private func endFinished(_ batch: Batch) {
        for group in batch.groups where group.ends {
            if let listeners = byNumber[group.target] { endFinished(listeners) }
        }
    }

    /// Ends the streams for which nothing can come any more.
    private func endFinished(_ listeners: Subscribers) {
        for stream in listeners.streams where stream.state.isLive && stream.endOfAll != nil {
            finish(stream, now: eventLoop.now)
        }
    }

    /// A topic was closed by an event that does not come: its log was gone before anybody could read it.
    func ended(_ target: Target, by id: EventID) {
        guard let listeners = subscribers[target] else { return }
        listeners.end = .ended(id)
        newest = max(newest, id)
        endFinished(listeners)
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
        let now = eventLoop.now
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
        if let end = stream.endOfAll, stream.state.floor >= end || newest >= end { finish(stream, now: now) }
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
            stream, from: .after(stream.state.floor), mark: coveredSince(stream), position: ring.start, now: now)
        advanceReplay(stream)
    }

    // MARK: Gaps

    /// The node has found that something is lost for good: everyone concerned is told.
    func tell(_ gap: Gap, id: EventID?) {
        // The ring has a hole there: of these targets it has only what is later.
        if let to = gap.to {
            for target in gap.targets { subscribers[target]?.coverage.lose(upTo: to) }
        }
        let now = eventLoop.now
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

    static func lines(_ gap: Gap, id: EventID?) -> String {
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
    func queue(_ rest: ByteBuffer, for stream: Stream) {
        let bound = NIOLoopBound((shard: self, stream: stream), eventLoop: eventLoop)
        stream.queuedWrites += 1
        stream.socket.queue(rest, onProgress: { bound.value.stream.state.progressed(now: bound.eventLoop.now) })
            .whenSuccess {
                // Not in this call: the channel may have taken the bytes before `queue` returns.
                bound.eventLoop.execute { bound.value.shard.writable(bound.value.stream) }
            }
    }

    private func writable(_ stream: Stream) {
        stream.queuedWrites -= 1
        guard stream.state.phase != .ended, stream.queuedWrites == 0 else { return }
        stream.state.unblocked(now: eventLoop.now)
        advance(stream)
    }
}
