// SPDX-License-Identifier: Apache-2.0
import DequeModule
import NIOCore
import NIOHTTP1
import SluiceCore

/// How a stream begins and ends: what its machine says is done.
extension Shard {
    private static let retryDelay = TimeAmount.milliseconds(250)
    private static let endedMax = 1024
    /// Targets that are left before the loop's sockets have their turn.
    private static let leftPerTurn = 256
    private static let leavePause = TimeAmount.microseconds(100)

    /// Takes in a stream; `targets` without `all`, which every stream listens to.
    package func open(_ stream: Stream, targets: [Target]) {
        counters.streamsOpened.add(1)
        counters.streamsOpen[stream.spokenOver].add(1)
        var unknown: [Target] = []
        join(stream, everyone)
        if let owner = stream.owner {
            owned[owner, default: [:]][ObjectIdentifier(stream)] = stream
            note(owner, isPresent: true)
        }
        for target in targets {
            if subscribers[target] == nil { unknown.append(target) }
            let listeners =
                subscribers[target]
                ?? Subscribers<Stream>(target: target, partition: partitioning.partition(of: target))
            subscribers[target] = listeners
            join(stream, listeners)
            if target.kind == .client { note(target, isPresent: true) }
        }
        let now = eventLoop.now
        let standing = stream.targets
        stream.machine.opened(standing)
        if stream.machine.named() { begin(stream, standing, now: now) }
        let (_, next) = stream.machine.wake(now: now, clocks: feed.clocks, limits: limits.stream)
        wheel.insert(stream, at: min(next, now + limits.stream.head))
        if !unknown.isEmpty {
            let targets = unknown
            let index = index
            hub?.run { $0.listen(to: targets, shard: index) }
        }
    }

    /// Counts the targets of a stream that would cost the broker something: names that this shard does not have, and logs
    /// that have to be read. `--new-topic-rate` limits this number.
    package func brokerWork(for request: Subscription) -> Int {
        switch request.resume {
        case .fresh, .malformed:
            return request.targets.count { subscribers[$0] == nil }
        case .after(let cursor):
            let cut = cursor.over(partitioning.count).cut
            return (request.targets + [.all]).count { target in
                guard let listeners = subscribers[target] else { return true }
                let partition = listeners.partition
                let since = listeners.feed.since ?? feed.clock(of: partition)
                return cut[partition] < max(feed.ring.dropped(of: partition), since)
            }
        default:
            return max(1, request.targets.count)
        }
    }

    private func join(_ stream: Stream, _ listeners: Subscribers<Stream>) {
        stream.join(listeners)
        guard !listeners.feed.isConfirmed else { return }
        stream.machine.waits(in: listeners.partition)
        waiting[listeners.target, default: []].append(stream)
        // Those that left while the broker is away must not pile up.
        if waiting[listeners.target, default: []].count > listeners.streams.count * 2 + 64 {
            waiting[listeners.target]?.removeAll { $0.machine.isEnded }
        }
    }

    // MARK: The starting point

    func begin(_ stream: Stream, _ targets: StreamTargets, now: NIODeadline) {
        change(stream, now: now) { $0.begin(feed, targets, replayBytes: replayBytes, now: now) }
    }

    /// The head has gone out without what can't begin yet.
    func proceed(_ stream: Stream, now: NIODeadline) {
        change(stream, now: now) { $0.proceed(feed, stream.targets, replayBytes: replayBytes, now: now) }
    }

    private func change(
        _ stream: Stream, now: NIODeadline, _ input: (inout StreamMachine) -> StreamMachine.StartAction?
    ) {
        let replays = stream.machine.replays
        guard let action = input(&stream.machine) else { return }
        replayCount += stream.machine.replays - replays
        switch action {
        case .askForReading(let partitions):
            for partition in partitions.partitions {
                awaitingReading[partition.index].append(stream)
                askForReading(of: partition)
            }
        case .refuse: refuse(stream)
        case .finish: finish(stream, .finished, now: now)
        case .start(let gaps, let checkpoint):
            counters.gaps.add(gaps.count)
            // With several partitions an id alone is no place.
            let lines = gaps.map { gap in
                Shard.lines(gap, id: checkpoint ?? (partitioning.count == 1 ? gap.to.map { Cursor($0) } : nil))
            }.joined()
            send(lines: lines + (checkpoint.map { ControlBlock.checkpoint($0) } ?? ""), to: stream, now: now)
            advance(stream)
        }
    }

    /// At the end of the loop's turn: all streams that begin in it have one reading between them.
    private func askForReading(of partition: Partition) {
        let isAsked = readingsAsked.contains(PartitionSet(partition))
        guard !isAsked, !awaitingReading[partition.index].isEmpty else { return }
        readingsAsked.insert(PartitionSet(partition))
        eventLoop.assumeIsolated().execute { [self] in askForReadingNow(of: partition) }
    }

    private func askForReadingNow(of partition: Partition) {
        guard let hub else { return }
        let served = awaitingReading[partition.index]
        awaitingReading[partition.index] = []
        var unknown: Set<Target> = []
        for stream in served where stream.targets.mayEnd {
            for listeners in stream.subscriptions
            where listeners.partition == partition && listeners.feed.end == .unknown {
                if listeners.target.kind == .topic { unknown.insert(listeners.target) }
            }
        }
        let targets = Array(unknown)
        let bound = NIOLoopBound((shard: self, streams: served), eventLoop: eventLoop)
        hub.eventLoop.flatSubmit { hub.value.mark(partition, markersOf: targets) }.hop(to: eventLoop).whenComplete {
            bound.value.shard.received($0, of: partition, markersOf: targets, for: bound.value.streams)
        }
    }

    private func received(
        _ result: Result<ClockReading, any Error>, of partition: Partition, markersOf targets: [Target],
        for streams: [Stream]
    ) {
        readingsAsked.remove(PartitionSet(partition))
        let now = eventLoop.now
        switch result {
        case .success(let reading):
            learn(born: reading.born, in: partition)
            learn(reading.lineage, in: partition)
            for (target, marker) in zip(targets, reading.markers) {
                if let listeners = subscribers[target] { listeners.note(isOver: listeners.feed.learn(marker)) }
            }
            for stream in streams {
                change(stream, now: now) {
                    $0.begin(
                        reading: reading.clock, of: partition, feed, stream.targets, replayBytes: replayBytes, now: now)
                }
            }
            askForReading(of: partition)
        case .failure:
            // The broker is away. Ask again until it is back.
            let left = streams.filter { !$0.machine.isEnded }
            awaitingReading[partition.index].append(contentsOf: left)
            for stream in left {
                change(stream, now: now) {
                    $0.readingFailed(of: partition, feed, stream.targets, replayBytes: replayBytes, now: now)
                }
            }
            eventLoop.assumeIsolated().scheduleTask(in: Shard.retryDelay) { [self] in askForReading(of: partition) }
        }
    }

    // MARK: The end

    /// The client will send nothing more. One that only has shut its sending side takes a comment; the machine of one that
    /// has closed answers it with a reset, and then the stream ends at once and not at the next heartbeat. A head that is
    /// still to come does the same.
    package func inputEnded(_ stream: Stream) {
        guard stream.machine.isHeadSent, !stream.machine.isEnded else { return }
        send(lines: ControlBlock.heartbeat, to: stream, now: eventLoop.now)
    }

    /// Nothing more is written.
    func forget(_ stream: Stream) {
        hasCaughtUp(stream)
        replayCount -= stream.machine.replays
        stream.machine.end()
    }

    /// The channel is closed: the stream leaves everything.
    package func closed(_ stream: Stream) {
        forget(stream)
        forgetEnded()
        counters.streamsOpen[stream.spokenOver].add(-1)
        counters.streamsEnded[stream.end ?? .client].add(1)
        // A stream of HTTP/2 shares its connection, which counts itself.
        if !stream.socket.isHTTP2 { counters.connectionsOpen.add(-1) }
        quotas.release(address: stream.address, client: stream.client ?? stream.owner)
        if let client = stream.client { note(client, isPresent: false) }
        if let owner = stream.owner {
            note(owner, isPresent: false)
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
        wheel.removeAll { $0.machine.isEnded }
    }

    /// Everything that the stream asks for is over, and the client knows it.
    private func refuse(_ stream: Stream) {
        stream.note(.finished)
        _ = stream.machine.takeHead()
        var bytes = ByteBuffer()
        if stream.socket.isHTTP2 {
            stream.socket.begin(head.head(.noContent, extra: stream.extraHeaders))
        } else {
            head.writeNoContent(extra: stream.extraHeaders, to: &bytes)
        }
        close(stream, behind: bytes)
    }

    /// Ends a stream as a server should: with a time to come back, and a clean end of the body.
    ///
    /// - Parameter lines: what it is told at last; nil: to come back soon.
    func finish(_ stream: Stream, _ end: StreamEnd, with lines: String? = nil, now: NIODeadline) {
        guard !stream.machine.isEnded else { return }
        stream.note(end)
        var bytes = ByteBuffer()
        if stream.machine.takeHead() { writeHead(of: stream, to: &bytes) }
        stream.wire.append(lines: lines ?? ControlBlock.retry(milliseconds: retries.next()), to: &bytes)
        stream.wire.appendEnd(to: &bytes)
        close(stream, behind: bytes)
    }

    /// The head of the response: bytes to come first, or the head of an HTTP/2 stream.
    func writeHead(of stream: Stream, to bytes: inout ByteBuffer) {
        if stream.socket.isHTTP2 {
            stream.socket.begin(head.head(.ok, extra: stream.extraHeaders))
        } else {
            head.write(stream.wire, extra: stream.extraHeaders, to: &bytes)
        }
        stream.extraHeaders = []
    }

    private func close(_ stream: Stream, behind bytes: ByteBuffer) {
        let canSend = stream.socket.isDirect && !stream.machine.isBlocked
        let sent = canSend ? stream.socket.send(bytes) : 0
        forget(stream)
        if canSend, sent == bytes.readableBytes { return stream.socket.close() }
        let bound = NIOLoopBound(stream, eventLoop: eventLoop)
        stream.socket.finish(bytes.getSlice(at: bytes.readerIndex + sent, length: bytes.readableBytes - sent) ?? bytes)
        // A client that takes nothing does not keep its connection.
        let limit = eventLoop.scheduleTask(in: limits.stream.stall) { bound.value.socket.close() }
        stream.socket.channel.closeFuture.whenComplete { _ in limit.cancel() }
    }
}
