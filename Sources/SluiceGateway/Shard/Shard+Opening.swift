// SPDX-License-Identifier: Apache-2.0
import DequeModule
import NIOCore
import NIOHTTP1
import SluiceCore

/// How a stream begins and ends.
///
/// Subscribe, mark, read, go live: its targets are confirmed by the broker; then its starting point is known, or read;
/// then what lies between its cursor and the ring is read from the logs; then it reads the ring until it is live.
extension Shard {
    /// A stream that the broker does not let begin gets its head after this all the same.
    private static let headWait = TimeAmount.seconds(1)
    private static let retryDelay = TimeAmount.milliseconds(250)
    private static let endedMax = 1024
    /// Targets that are left before the loop's sockets have their turn.
    private static let leftPerTurn = 256
    private static let leavePause = TimeAmount.microseconds(100)

    /// Takes in a stream; `targets` without `all`, which every stream listens to.
    package func open(_ stream: Stream, targets: [Target]) {
        counters.streamsOpened.add(1)
        counters.streamsOpen.add(1)
        var unknown: [Target] = []
        stream.join(everyone)
        if let owner = stream.owner { owned[owner, default: [:]][ObjectIdentifier(stream)] = stream }
        if !everyone.isConfirmed { wait(stream, for: everyone) }
        for target in targets {
            let listeners: Subscribers
            if let known = subscribers[target] {
                listeners = known
            } else {
                listeners = Subscribers(target: target)
                subscribers[target] = listeners
                unknown.append(target)
            }
            stream.join(listeners)
            if !listeners.isConfirmed { wait(stream, for: listeners) }
        }
        if stream.unconfirmed == 0 { begin(stream) }
        if stream.state.phase == .opening { wheel.insert(stream, at: eventLoop.now + Shard.headWait) }
        if !unknown.isEmpty {
            let targets = unknown
            let index = index
            hub?.run { $0.listen(to: targets, shard: index) }
        }
    }

    /// For how many of its targets a stream would have the broker work: for names that this shard does not have, and for those whose
    /// logs have to be read.
    package func brokerWork(for request: StreamRequest) -> Int {
        switch request.resume {
        case .fresh, .malformed:
            return request.targets.count { subscribers[$0] == nil }
        case .after(let cursor):
            return (request.targets + [.all]).count { target in
                guard let listeners = subscribers[target] else { return true }
                return cursor.id < max(ring.dropped, listeners.since ?? clock)
            }
        default:
            return max(1, request.targets.count)
        }
    }

    private func wait(_ stream: Stream, for listeners: Subscribers) {
        stream.unconfirmed += 1
        waiting[listeners.target, default: []].append(stream)
        // Those that left while the broker is away must not pile up.
        if waiting[listeners.target, default: []].count > listeners.streams.count * 2 + 64 {
            waiting[listeners.target]?.removeAll { $0.state.phase == .ended }
        }
    }

    // MARK: The starting point

    /// The stream's targets are confirmed: what comes from here on is its own, as soon as it is known after which id.
    func begin(_ stream: Stream) {
        if needsReading(stream) {
            waitingForMark.append((stream, ring.end))
            askForMark()
        } else {
            begin(stream, mark: nil, position: ring.end)
        }
    }

    /// Whether the broker has to be asked, or this shard knows all that the stream needs.
    private func needsReading(_ stream: Stream) -> Bool {
        if clock == .zero || born == 0 { return true }
        switch stream.resume {
        case .after(let cursor): if cursor.id > clock { return true }
        // It begins now, and what came since the last reading is before it. What that says of the time is not certain.
        case .fresh, .malformed: if newest > clock { return true }
        case .earliest, .available: break
        }
        return stream.subscriptions.contains { listeners in
            guard let since = listeners.since, since <= clock else { return true }
            return !stream.hasClient && listeners.target.kind == .topic && listeners.end == .unknown
        }
    }

    private func askForMark() {
        guard !isMarkAsked, !waitingForMark.isEmpty, let hub else { return }
        isMarkAsked = true
        let served = waitingForMark
        waitingForMark = []
        var unknown: Set<Target> = []
        for (stream, _) in served where !stream.hasClient {
            for listeners in stream.subscriptions where listeners.target.kind == .topic && listeners.end == .unknown {
                unknown.insert(listeners.target)
            }
        }
        let targets = Array(unknown)
        let bound = NIOLoopBound((shard: self, streams: served), eventLoop: eventLoop)
        hub.eventLoop.flatSubmit { hub.value.mark(markersOf: targets) }.hop(to: eventLoop).whenComplete { result in
            bound.value.shard.marked(result, markersOf: targets, for: bound.value.streams)
        }
    }

    private func marked(
        _ result: Result<ClockReading, any Error>, markersOf targets: [Target],
        for streams: [(stream: Stream, position: UInt64)]
    ) {
        isMarkAsked = false
        let open = streams.filter { $0.stream.state.phase == .opening }
        switch result {
        case .success(let reading):
            born = reading.born
            for (target, marker) in zip(targets, reading.markers) {
                guard let listeners = subscribers[target], listeners.end == .unknown else { continue }
                listeners.end = marker.map { $0.ends ? .ended($0.id) : .open } ?? .open
            }
            for (stream, position) in open { begin(stream, mark: reading.clock, position: position) }
            askForMark()
        case .failure:
            // The broker is away. Ask again until it is back.
            waitingForMark.append(contentsOf: open)
            eventLoop.assumeIsolated().scheduleTask(in: Shard.retryDelay) { [self] in askForMark() }
        }
    }

    /// - Parameters:
    ///   - mark: a reading of the clock that was made after the confirmations; nil: none is needed.
    ///   - position: where the ring was at the last confirmation.
    private func begin(_ stream: Stream, mark: EventID?, position: UInt64) {
        let now = eventLoop.now
        let latest = mark ?? clock
        let end = stream.endOfAll
        switch stream.resume {
        case .after(let cursor) where cursor.id <= latest:
            if let end, cursor.id >= end { return refuse(stream) }
            resume(stream, from: .after(cursor.id), mark: mark, position: position, now: now)
        case .earliest:
            resume(stream, from: .earliest, mark: mark, position: position, now: now)
        case .available:
            resume(stream, from: .available, mark: mark, position: position, now: now)
        case .fresh:
            if end != nil { return refuse(stream) }
            stream.state.begin(after: latest, at: position, now: now)
            send(lines: firstCheckpoint(stream, latest), to: stream, now: now)
        case .malformed, .after:
            if end != nil { return refuse(stream) }
            stream.state.begin(after: latest, at: position, now: now)
            counters.gaps.add(1)
            let gap = ControlBlock.gap(from: nil, to: Cursor(latest), targets: stream.targets, id: Cursor(latest))
            send(lines: gap + firstCheckpoint(stream, latest), to: stream, now: now)
        }
        wheel.insert(stream, at: stream.state.wake(now: now, clock: clock, limits: limits.stream).next)
        advance(stream)
    }

    private func firstCheckpoint(_ stream: Stream, _ id: EventID) -> String {
        stream.hasCheckpoints && id > .zero ? ControlBlock.checkpoint(Cursor(id)) : ""
    }

    private func resume(
        _ stream: Stream, from start: Replay.Start, mark: EventID?, position: UInt64, now: NIODeadline
    ) {
        stream.owesCheckpoint = stream.hasCheckpoints
        if let mark {
            startReplay(stream, from: start, mark: mark, position: position, now: now)
        } else {
            // The ring has everything after this id.
            let covered = coveredSince(stream)
            if case .after(let cursor) = start, cursor >= covered, let place = ring.position(after: cursor) {
                stream.state.begin(after: cursor, at: place, liveFrom: ring.end, now: now)
            } else {
                startReplay(
                    stream, from: start, mark: covered, position: ring.position(after: covered) ?? ring.end, now: now)
            }
        }
        send(lines: "", to: stream, now: now)
    }

    /// After this id the ring has all events of all targets of the stream.
    func coveredSince(_ stream: Stream) -> EventID {
        stream.subscriptions.reduce(ring.dropped) { max($0, min($1.since ?? clock, clock)) }
    }

    // MARK: The end

    /// The client will send nothing more. One that only has shut its sending side takes a comment; the machine of one that
    /// has closed answers it with a reset, and then the stream ends at once and not at the next heartbeat. A head that is
    /// still to come does the same.
    package func inputEnded(_ stream: Stream) {
        guard stream.isHeadSent, stream.state.phase != .ended else { return }
        send(lines: ControlBlock.heartbeat, to: stream, now: eventLoop.now)
    }

    /// The channel is closed: the stream leaves everything.
    package func closed(_ stream: Stream) {
        stream.end()
        forgetEnded()
        counters.streamsOpen.add(-1)
        // A stream of HTTP/2 shares its connection, which counts itself.
        if !stream.socket.isHTTP2 { counters.connectionsOpen.add(-1) }
        quotas.release(address: stream.address, client: stream.client ?? stream.owner)
        if let owner = stream.owner {
            owned[owner]?[ObjectIdentifier(stream)] = nil
            if owned[owner]?.isEmpty == true { owned[owner] = nil }
        }
        leaving.append(stream)
        if leaving.count == 1 { eventLoop.assumeIsolated().execute { [self] in leaveSome() } }
    }

    /// Some in each turn: whoever closes a thousand streams of a hundred names at once must not hold others up.
    private func leaveSome() {
        var left = 0
        var unheard: [Target] = []
        while left < Shard.leftPerTurn, let stream = leaving.popFirst() {
            for listeners in stream.leaveAll() {
                left += 1
                guard listeners.streams.isEmpty, listeners !== everyone else { continue }
                subscribers[listeners.target] = nil
                if let number = listeners.number { byNumber[number] = nil }
                waiting[listeners.target] = nil
                unheard.append(listeners.target)
            }
        }
        if !unheard.isEmpty {
            let (targets, index) = (unheard, index)
            hub?.run { $0.unlisten(to: targets, shard: index) }
        }
        guard !leaving.isEmpty else { return }
        eventLoop.assumeIsolated().scheduleTask(in: Shard.leavePause) { [self] in leaveSome() }
    }

    /// The wheel keeps what has ended until its time comes: who opens and closes all the time must not fill the memory
    /// with it.
    private func forgetEnded() {
        endedInWheel += 1
        guard endedInWheel > max(Shard.endedMax, everyone.streams.count) else { return }
        endedInWheel = 0
        wheel.removeAll { $0.state.phase == .ended }
    }

    /// Everything that the stream asks for is over, and the client knows it.
    private func refuse(_ stream: Stream) {
        if stream.isHeadSent { return finish(stream, now: eventLoop.now) }
        stream.isHeadSent = true
        var bytes = ByteBuffer()
        if stream.socket.isHTTP2 {
            stream.socket.begin(head.head(.noContent, extra: stream.extraHeaders))
        } else {
            bytes.writeString(head.noContentText(extra: stream.extraHeaders))
        }
        end(stream, with: bytes)
    }

    /// Ends a stream as a server should: with a time to come back, and a clean end of the body.
    func finish(_ stream: Stream, now: NIODeadline) {
        guard stream.state.phase != .ended else { return }
        var bytes = ByteBuffer()
        if !stream.isHeadSent { begin(stream, head: &bytes) }
        writer.append(lines: ControlBlock.retry(milliseconds: limits.retry.next()), to: &bytes, framing: stream.framing)
        writer.appendEnd(to: &bytes, framing: stream.framing)
        end(stream, with: bytes)
    }

    /// The head of the response: bytes to come first, or the head of an HTTP/2 stream.
    func begin(_ stream: Stream, head bytes: inout ByteBuffer) {
        stream.isHeadSent = true
        if stream.socket.isHTTP2 {
            stream.socket.begin(head.head(.ok, extra: stream.extraHeaders))
        } else {
            bytes.writeString(head.text(stream.framing, extra: stream.extraHeaders))
        }
        stream.extraHeaders = []
    }

    private func end(_ stream: Stream, with bytes: ByteBuffer) {
        let canSend = stream.socket.isDirect && !stream.state.isBlocked
        let sent = canSend ? stream.socket.send(bytes) : 0
        stream.end()
        if canSend, sent == bytes.readableBytes { return stream.socket.close() }
        let bound = NIOLoopBound(stream, eventLoop: eventLoop)
        stream.socket.finish(bytes.getSlice(at: bytes.readerIndex + sent, length: bytes.readableBytes - sent) ?? bytes)
        // A client that takes nothing does not keep its connection.
        let limit = eventLoop.scheduleTask(in: limits.stream.stall) { bound.value.socket.close() }
        stream.socket.channel.closeFuture.whenComplete { _ in limit.cancel() }
    }
}
