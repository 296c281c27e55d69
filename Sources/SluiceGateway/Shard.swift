// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Logging
import NIOCore
import SluiceCore

/// One event loop with everything that lives on it: its streams, who listens to what, and its ring.
package final class Shard {
    package struct Limits: Sendable {
        package var ringBytes: Int
        package var stream: StreamState.Limits
        package var retry: RetryPolicy
        package var lifetime: TimeAmount
    }

    /// A stream that Redis does not let begin gets its head after this all the same.
    private static let headWait = TimeAmount.seconds(1)
    private static let tickInterval = TimeAmount.milliseconds(100)
    private static let wheelSlots = 512
    /// What one stream may read from the ring before the others have their turn, in bytes.
    private static let catchUpBytes = 256 * 1024

    package let index: Int
    package let eventLoop: any EventLoop
    private let limits: Limits
    private let head: StreamHead
    private let counters: Counters
    private var hub: Confined<Hub>?

    private var subscribers: [Target: Subscribers] = [:]
    private var byNumber: [TargetNumber: Subscribers] = [:]
    /// Every stream; they all listen to `all`.
    private let everyone = Subscribers(target: .all)
    private var ring: Ring
    /// Every event with an id up to this one has been processed.
    private var clock = EventID.zero
    private var wheel: TimerWheel<Stream>
    private var ticker: RepeatedTask?

    /// Streams that wait for a target to be confirmed.
    private var waiting: [Target: [Stream]] = [:]
    /// Streams whose targets are confirmed, and which wait for a reading of the clock: one serves them all.
    private var waitingForMark: [(stream: Stream, position: UInt64)] = []
    private var isMarkAsked = false

    private var writer = FrameWriter()
    /// Streams to be written in this batch. Kept, so that a batch costs no allocation.
    private var dirty: ContiguousArray<Stream> = []
    private var drain: Drain<Stream>?

    package init(index: Int, eventLoop: any EventLoop, limits: Limits, head: StreamHead, counters: Counters) {
        self.index = index
        self.eventLoop = eventLoop
        self.limits = limits
        self.head = head
        self.counters = counters
        self.ring = Ring(sizeMax: limits.ringBytes)
        self.wheel = TimerWheel(slots: Shard.wheelSlots, tick: Shard.tickInterval, now: .now())
    }

    package func start(hub: Confined<Hub>) {
        self.hub = hub
        subscribers[.all] = everyone
        let index = index
        hub.run { $0.listen(to: [.all], shard: index) }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        ticker = eventLoop.scheduleRepeatedTask(initialDelay: Shard.tickInterval, delay: Shard.tickInterval) { _ in
            bound.value.tick(now: .now())
        }
    }

    package func stop() {
        ticker?.cancel()
        for stream in everyone.streams { stream.socket.close() }
    }

    package var streamCount: Int { everyone.streams.count }

    // MARK: What the hub says

    package func receive(_ message: Hub.Message) {
        switch message {
        case .batch(let batch): deliver(batch)
        case .clock(let reading): clock = max(clock, reading)
        case .listening(let target, let number, let isConfirmed):
            guard let listeners = subscribers[target] else { return }
            if let old = listeners.number { byNumber[old] = nil }
            listeners.number = number
            byNumber[number] = listeners
            if isConfirmed { confirmed(target) }
        case .confirmed(let target): confirmed(target)
        }
    }

    private func confirmed(_ target: Target) {
        subscribers[target]?.isConfirmed = true
        for stream in waiting.removeValue(forKey: target) ?? [] where stream.state.phase == .opening {
            stream.unconfirmed -= 1
            if stream.unconfirmed == 0 { waitForMark(stream) }
        }
    }

    // MARK: The life of a stream

    /// Takes in a stream; `targets` without `all`, which every stream listens to.
    package func open(_ stream: Stream, targets: [Target]) {
        counters.streamsOpened.add(1)
        counters.streamsOpen.add(1)
        var fresh: [Target] = []
        stream.join(everyone)
        if !everyone.isConfirmed { wait(stream, for: .all) }
        for target in targets {
            let listeners: Subscribers
            if let known = subscribers[target] {
                listeners = known
            } else {
                listeners = Subscribers(target: target)
                subscribers[target] = listeners
                fresh.append(target)
            }
            stream.join(listeners)
            if !listeners.isConfirmed { wait(stream, for: target) }
        }
        if stream.unconfirmed == 0, clock > .zero {
            begin(stream, after: clock, at: ring.end)
        } else if stream.unconfirmed == 0 {
            waitForMark(stream)
        }
        if stream.state.phase == .opening {
            wheel.insert(stream, at: .now() + Shard.headWait)
        }
        if !fresh.isEmpty {
            let targets = fresh
            let index = index
            hub?.run { $0.listen(to: targets, shard: index) }
        }
    }

    private func wait(_ stream: Stream, for target: Target) {
        stream.unconfirmed += 1
        waiting[target, default: []].append(stream)
        // Those that left while Redis is away must not pile up.
        let present = (subscribers[target]?.streams.count ?? 0) * 2 + 64
        if waiting[target, default: []].count > present {
            waiting[target]?.removeAll { $0.state.phase == .ended }
        }
    }

    /// Its targets are confirmed: what comes from here on is its own, as soon as it is known after which id.
    private func waitForMark(_ stream: Stream) {
        waitingForMark.append((stream, ring.end))
        askForMark()
    }

    private func askForMark() {
        guard !isMarkAsked, !waitingForMark.isEmpty, let hub else { return }
        isMarkAsked = true
        let served = waitingForMark
        waitingForMark = []
        let streams = NIOLoopBound(served, eventLoop: eventLoop)
        let shard = NIOLoopBound(self, eventLoop: eventLoop)
        hub.eventLoop.flatSubmit { hub.value.mark() }.hop(to: eventLoop).whenComplete { result in
            shard.value.marked(result, for: streams.value)
        }
    }

    private func marked(_ result: Result<EventID, any Error>, for streams: [(stream: Stream, position: UInt64)]) {
        isMarkAsked = false
        switch result {
        case .success(let mark):
            for (stream, position) in streams where stream.state.phase == .opening {
                begin(stream, after: mark, at: position)
            }
            askForMark()
        case .failure:
            // Redis is away; the feed will be too. Ask again until it is back.
            waitingForMark.append(contentsOf: streams.filter { $0.stream.state.phase == .opening })
            eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(250)) { [self] in askForMark() }
        }
    }

    private func begin(_ stream: Stream, after start: EventID, at position: UInt64) {
        let now = NIODeadline.now()
        stream.state.begin(after: start, at: position, now: now)
        sendHead(stream, checkpoint: start == .zero || !stream.hasCheckpoints ? nil : Cursor(start), now: now)
        wheel.insert(stream, at: stream.state.wake(now: now, clock: clock, limits: limits.stream).next)
        catchUp(stream)
    }

    /// The response head and the prelude, unless they are out; and the first cursor.
    private func sendHead(_ stream: Stream, checkpoint: Cursor?, now: NIODeadline) {
        var bytes = ByteBuffer()
        var lines = ""
        if !stream.isHeadSent {
            stream.isHeadSent = true
            bytes.writeString(head.text(stream.framing))
            lines = ControlBlock.prelude(retryMilliseconds: limits.retry.next())
        }
        if let checkpoint { lines += ControlBlock.checkpoint(checkpoint) }
        if !lines.isEmpty { writer.append(lines: lines, to: &bytes, framing: stream.framing) }
        write(bytes, to: stream, now: now)
    }

    /// Writes something of the gateway's own. If the socket is full it waits in the channel.
    private func write(_ bytes: ByteBuffer, to stream: Stream, now: NIODeadline) {
        guard bytes.readableBytes > 0 else { return }
        let sent = stream.state.isBlocked ? 0 : bytes.withUnsafeReadableBytes { stream.socket.send($0) }
        if sent == bytes.readableBytes { return }
        stream.state.blocked(ringEnd: ring.end, now: now)
        queue(bytes.getSlice(at: bytes.readerIndex + sent, length: bytes.readableBytes - sent) ?? bytes, for: stream)
    }

    /// The rest of a frame that was begun; nothing else is written before it is out.
    private func queue(_ rest: ByteBuffer, for stream: Stream) {
        let bound = NIOLoopBound((shard: self, stream: stream), eventLoop: eventLoop)
        stream.socket.queue(rest).whenSuccess {
            // Not in this call: the channel may have taken the bytes before `queue` returns.
            bound.eventLoop.execute { bound.value.shard.writable(bound.value.stream) }
        }
    }

    private func writable(_ stream: Stream) {
        guard stream.state.phase != .ended else { return }
        stream.state.unblocked(now: .now())
        catchUp(stream)
    }

    /// The channel is closed: the stream leaves everything.
    package func closed(_ stream: Stream) {
        stream.state.end()
        counters.streamsOpen.add(-1)
        for listeners in stream.leaveAll() where listeners.streams.isEmpty && listeners !== everyone {
            subscribers[listeners.target] = nil
            if let number = listeners.number { byNumber[number] = nil }
            waiting[listeners.target] = nil
            let target = listeners.target
            let index = index
            hub?.run { $0.unlisten(to: target, shard: index) }
        }
    }

    /// Ends a stream as a server should: with a time to come back, and a clean end of the body.
    private func finish(_ stream: Stream, now: NIODeadline) {
        guard stream.state.phase != .ended else { return }
        var bytes = ByteBuffer()
        if !stream.isHeadSent {
            stream.isHeadSent = true
            bytes.writeString(head.text(stream.framing))
        }
        writer.append(lines: ControlBlock.retry(milliseconds: limits.retry.next()), to: &bytes, framing: stream.framing)
        writer.appendEnd(to: &bytes, framing: stream.framing)
        let isBlocked = stream.state.isBlocked
        stream.state.end()
        let sent = isBlocked ? 0 : bytes.withUnsafeReadableBytes { stream.socket.send($0) }
        if sent == bytes.readableBytes { return stream.socket.close() }
        bytes.moveReaderIndex(forwardBy: sent)
        let bound = NIOLoopBound(stream, eventLoop: eventLoop)
        stream.socket.queue(bytes).whenComplete { _ in bound.value.socket.close() }
        // A client that takes nothing does not keep its connection.
        eventLoop.scheduleTask(in: limits.stream.stall) { bound.value.socket.close() }
    }

    // MARK: Delivery

    /// The hot path: one write for each stream, whatever it gets from this batch.
    private func deliver(_ batch: Batch) {
        ring.append(batch)
        clock = max(clock, batch.clock)
        mark(batch)
        guard !dirty.isEmpty else { return }
        let now = NIODeadline.now()
        var delivered = 0
        writer.begin(batch)
        for index in dirty.indices {
            let stream = dirty[index]
            if stream.isDirtyTwice {
                writer.select(where: { stream.listens(to: $0) }, after: stream.state.floor, framing: stream.framing)
            } else {
                writer.select(group: Int(stream.dirtyGroup), after: stream.state.floor, framing: stream.framing)
            }
            delivered += write(to: stream, now: now)
        }
        writer.end()
        dirty.removeAll(keepingCapacity: true)
        counters.eventsDelivered.add(delivered)
    }

    /// Finds the streams that this batch is for.
    private func mark(_ batch: Batch) {
        for (index, group) in batch.groups.enumerated() {
            guard let listeners = byNumber[group.target] else { continue }
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
    }

    /// Writes what the writer has selected.
    ///
    /// - Returns: how many events went out, at least in part.
    private func write(to stream: Stream, now: NIODeadline) -> Int {
        let count = writer.selectedCount
        guard count > 0 else { return 0 }
        let sent = writer.withSelectedBytes { stream.socket.send($0) }
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

    /// Reads on in the ring, until the stream is live again or its socket is full.
    private func catchUp(_ stream: Stream) {
        let now = NIODeadline.now()
        var bytes = 0
        var delivered = 0
        while case .read(let position) = stream.state.next(ringStart: ring.start, ringEnd: ring.end),
            let batch = ring.batch(at: position)
        {
            writer.begin(batch)
            writer.select(
                where: { stream.listens(to: $0) }, after: stream.state.floor, from: position, framing: stream.framing)
            bytes += writer.selectedBytes
            stream.state.read(upTo: batch.end)
            delivered += write(to: stream, now: now)
            writer.end()
            if bytes > Shard.catchUpBytes {
                eventLoop.assumeIsolated().execute { [self] in catchUp(stream) }
                break
            }
        }
        counters.eventsDelivered.add(delivered)
        if stream.state.next(ringStart: ring.start, ringEnd: ring.end) == .overrun {
            counters.streamsOverrun.add(1)
            finish(stream, now: now)
        }
    }

    // MARK: Time

    private func tick(now: NIODeadline) {
        wheel.advance(to: now) { stream, wheel in
            if let next = wake(stream, now: now) { wheel.insert(stream, at: next) }
        }
        continueDrain(now: now)
    }

    /// - Returns: when to look at the stream again; nil if it is over, or begins elsewhere.
    private func wake(_ stream: Stream, now: NIODeadline) -> NIODeadline? {
        if stream.state.phase == .ended { return nil }
        if stream.state.phase == .opening {
            if !stream.isHeadSent { sendHead(stream, checkpoint: nil, now: now) }
            heartbeat(stream, now: now)
            return now + limits.stream.heartbeat
        }
        if stream.state.isBlocked { stream.noteProgress(now: now) }
        let (action, next) = stream.state.wake(now: now, clock: clock, limits: limits.stream)
        switch action {
        case .sleep: break
        case .heartbeat: heartbeat(stream, now: now)
        case .checkpoint(let cursor):
            if stream.hasCheckpoints { sendHead(stream, checkpoint: cursor, now: now) } else { heartbeat(stream, now: now) }
        case .stalled:
            counters.streamsStalled.add(1)
            stream.state.end()
            stream.socket.close()
            return nil
        case .expired:
            finish(stream, now: now)
            return nil
        }
        return next
    }

    private func heartbeat(_ stream: Stream, now: NIODeadline) {
        guard !stream.state.isBlocked else { return }
        var bytes = ByteBuffer()
        writer.append(lines: ControlBlock.heartbeat, to: &bytes, framing: stream.framing)
        write(bytes, to: stream, now: now)
    }

    /// A deadline in the last fifth of the lifetime, every stream its own; nil: it lives for ever.
    package func expiry(now: NIODeadline) -> NIODeadline? {
        guard limits.lifetime > .zero else { return nil }
        let lifetime = limits.lifetime.nanoseconds
        return now + .nanoseconds(Int64.random(in: lifetime / 5 * 4...lifetime))
    }

    // MARK: Drain

    /// Ends all streams, spread over `time`.
    package func beginDrain(over time: TimeAmount) {
        drain = Drain(start: .now(), time: time, streams: everyone.streams.shuffled())
    }

    private func continueDrain(now: NIODeadline) {
        guard let due = drain?.due(now: now) else { return }
        for stream in due { finish(stream, now: now) }
    }
}

@available(*, unavailable)
extension Shard: Sendable {}
