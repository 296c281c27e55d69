// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// How streams are written that are live, what they are told, and what the gateway itself writes. (Those that are behind:
/// see `Shard+Reading.swift`.)
extension Shard {
    // MARK: Live

    /// The hot path: one write for each stream, whatever it gets from this batch.
    func deliver(_ batch: Batch) {
        feed.append(batch) { dropped($0) }
        counters.ringBytes.set(feed.ring.size)
        newestOfKey.note(batch)
        let hasEnds = collect(batch)
        if !dirty.isEmpty { writeDirty(batch) }
        if !batch.samples.isEmpty { tellOfSamples(batch) }
        if hasEnds { endFinished(batch) }
    }

    private func writeDirty(_ batch: Batch) {
        let now = eventLoop.now
        var delivered = 0
        writer.begin(batch)
        for index in dirty.indices {
            let stream = dirty[index]
            guard let taking = stream.machine.takes(batch) else {
                stream.dirtyBatch = 0
                continue
            }
            if stream.isDirtyTwice || taking.place != nil {
                writer.select(
                    stream.numbers, for: stream.machine.wanted(in: batch.partition), wire: stream.wire,
                    place: taking.place)
            } else {
                writer.select(
                    group: Int(stream.dirtyGroup), beyond: taking.floor, wire: stream.wire,
                    for: stream.machine.wanted(in: batch.partition))
            }
            let count = write(batch, taking.place, to: stream, now: now)
            writer.took(count)
            delivered += count
        }
        writer.end()
        counters.deliveryTimes.add(&writer.times.tally)
        dirty.removeAll(keepingCapacity: true)
        counters.eventsDelivered.add(delivered)
    }

    private func tellOfSamples(_ batch: Batch) {
        guard let log else { return }
        for sample in batch.samples {
            let entry = batch.entries[sample.index]
            guard let listeners = byNumber[entry.target] else { continue }
            let streams = listeners.streams.count { $0.dirtyBatch == batch.end }
            guard streams > 0 else { continue }
            log.wrote(
                entry.id, of: listeners.target, trace: sample.trace, toStreams: streams, thread: index,
                now: wallClock())
        }
    }

    /// Finds the streams that this batch is for, those that are behind among them.
    ///
    /// - Returns: whether a topic has ended.
    private func collect(_ batch: Batch) -> Bool {
        var hasEnds = false
        for (index, group) in batch.groups.enumerated() {
            guard let listeners = byNumber[group.target] else { continue }
            listeners.note(isOver: listeners.feed.receive(group))
            hasEnds = hasEnds || group.ends
            for stream in listeners.streams {
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
    private func endFinished(_ listeners: Subscribers<Stream>) {
        let now = eventLoop.now
        for stream in listeners.streams { finishIfOver(stream, now: now) }
    }

    func finishIfOver(_ stream: Stream, now: NIODeadline) {
        if stream.machine.isFinished(newest: feed.newest, targets: stream.targets) {
            finish(stream, .finished, now: now)
        }
    }

    /// A topic was closed by an event that does not come: its log was gone before anybody could read it.
    func ended(_ target: Target, by id: EventID) {
        guard let listeners = subscribers[target] else { return }
        listeners.note(isOver: listeners.feed.end(by: id))
        feed.pass(id, in: listeners.partition)
        endFinished(listeners)
    }

    /// A batch has left the ring.
    private func dropped(_ batch: Batch) {
        newestOfKey.forget(batch)
        for group in batch.groups where group.hasLiveOnly || group.hasLate {
            byNumber[group.target]?.feed.drop(group, of: batch)
        }
    }

    /// Writes what the writer has selected of a batch, to a stream that has not ended: its descriptor would be another
    /// connection's.
    ///
    /// - Parameter place: where the stream stands in other partitions, if that is not what the batch says.
    /// - Returns: how many events went out, at least in part.
    func write(_ batch: Batch, _ place: Cut?, to stream: Stream, now: NIODeadline) -> Int {
        let count = writer.selectedCount
        guard count > 0 else { return 0 }
        let sent =
            stream.socket.isDirect
            ? writer.withSelectedBytes { stream.socket.send($0) } : stream.socket.send(writer.selectedBuffer)
        hadLate = hadLate || writer.hasLate
        // What its events say of other partitions.
        let place = partitioning.count == 1 ? nil : place ?? batch.cut
        if sent == writer.selectedBytes {
            stream.machine.wrote(
                upTo: writer.highest, in: batch.partition, place: place, hasLate: writer.hasLate, now: now)
            return count
        }
        let cut = writer.cut(after: sent)
        stream.machine.wrote(
            upTo: cut.highest, in: batch.partition, place: place, hasLate: cut.hasLate, now: now)
        stream.machine.fellBehind(
            at: cut.nextPosition, in: batch.partition, ringEnd: feed.ring.end, now: now)
        queue(cut.rest, for: stream, now: now)
        return cut.count
    }

    // MARK: Gaps

    /// Who comes later has to read the logs to learn of it.
    func lose(_ gap: Gap) {
        guard let to = gap.to else { return }
        for target in gap.targets { subscribers[target]?.feed.coverage.lose(upTo: to) }
    }

    /// The node has found that something is lost for good: everyone concerned is told.
    ///
    /// - Parameter action: what a stream makes of it, which names its own targets only.
    func tell(_ gap: Gap, _ action: (Stream, Gap) -> StreamMachine.GapAction) {
        let now = eventLoop.now
        // Of each stream only its own targets, without a look at its others: an outage may cost all of them something.
        var own: [ObjectIdentifier: (stream: Stream, targets: [Target])] = [:]
        for target in gap.targets {
            guard let listeners = subscribers[target] else { continue }
            for stream in listeners.streams {
                own[ObjectIdentifier(stream), default: (stream, [])].targets.append(target)
            }
        }
        for (stream, targets) in own.values {
            let gap = Gap(from: gap.from, to: gap.to, targets: targets)
            if case .tell(let id) = action(stream, gap) {
                send(gap, id: id, to: stream, now: now)
            }
        }
    }

    func send(_ gap: Gap, id: Cursor?, to stream: Stream, now: NIODeadline) {
        counters.gaps.add(1)
        send(lines: Shard.lines(gap, id: id), to: stream, now: now)
    }

    static func lines(_ gap: Gap, id: Cursor?) -> String {
        ControlBlock.gap(from: gap.from, to: gap.to, targets: gap.targets, id: id)
    }

    // MARK: What the gateway itself writes

    /// Writes lines of the gateway's own, after the head and the prelude if those are not out. Nothing while the socket is
    /// full, but for what must not be lost.
    func send(lines: String, to stream: Stream, now: NIODeadline) {
        // A channel keeps what it is given.
        let isDirect = stream.socket.isDirect
        var bytes = ByteBuffer()
        if isDirect {
            swap(&bytes, &scratch)
            bytes.clear()
        }
        defer { if isDirect, bytes.capacity <= Shard.scratchBytesMax { scratch = bytes } }
        var text = lines
        if stream.machine.takeHead() {
            writeHead(of: stream, to: &bytes)
            text = ControlBlock.prelude(retryMilliseconds: retries.next()) + lines
        } else if lines == ControlBlock.heartbeat, stream.machine.isBlocked {
            return
        }
        guard !text.isEmpty else { return }
        stream.wire.append(lines: text, to: &bytes)
        write(bytes, to: stream, now: now)
    }

    /// If the socket is full, it waits in the channel.
    private func write(_ bytes: ByteBuffer, to stream: Stream, now: NIODeadline) {
        guard !stream.machine.isEnded else { return }
        let sent = stream.machine.isBlocked ? 0 : stream.socket.send(bytes)
        if sent == bytes.readableBytes { return }
        stream.machine.blocked(ringEnd: feed.ring.end, now: now)
        // A copy: who is slow must not keep all of the memory that is used again.
        queue(ByteBuffer(bytes: bytes.readableBytesView.dropFirst(sent)), for: stream)
    }

    /// What is left of a frame.
    func queue(_ rest: FrameRest, for stream: Stream, now: NIODeadline) {
        queue(rest.bytes, for: stream)
        guard let shared = rest.shared else { return }
        stream.machine.blocked(ringEnd: feed.ring.end, now: now)
        queue(shared, for: stream)
    }

    /// The rest of a frame that was begun, of which the machine knows; nothing else is written before it is out.
    private func queue(_ rest: ByteBuffer, for stream: Stream) {
        if !stream.isBehind {
            stream.isBehind = true
            slowStreams.insert(stream, now: eventLoop.now)
            counters.streamsBehind.add(1)
        }
        let bound = NIOLoopBound((shard: self, stream: stream), eventLoop: eventLoop)
        stream.socket.queue(rest, onProgress: { bound.value.stream.machine.progressed(now: bound.eventLoop.now) })
            .whenSuccess {
                // Not in this call: the channel may have taken the bytes before `queue` returns.
                bound.eventLoop.execute { bound.value.shard.writable(bound.value.stream) }
            }
    }

    /// A stream has all that there is for it, or is over.
    func hasCaughtUp(_ stream: Stream) {
        guard stream.isBehind else { return }
        stream.isBehind = false
        slowStreams.remove(stream)
        counters.streamsBehind.add(-1)
    }

    private func writable(_ stream: Stream) {
        if stream.machine.unblocked(now: eventLoop.now) { advance(stream) }
    }
}
