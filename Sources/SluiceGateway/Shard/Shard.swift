// SPDX-License-Identifier: Apache-2.0
import DequeModule
import NIOCore
import SluiceCore

/// One event loop with everything that lives on it: its streams, who listens to what, and its ring.
///
/// Here: its state, what the hub tells it, and time. How a stream begins is in `Shard+Opening.swift`, how it is written
/// in `Shard+Delivery.swift`.
package final class Shard {
    package struct Limits: Sendable {
        package var ringBytes: Int
        package var stream: StreamMachine.Limits
        package var retry: RetryPolicy
        package var lifetime: TimeAmount
        /// Streams that may open in a second.
        package var openRate: Int
        /// The hub is told which clients come and go.
        package var tellsPresence: Bool

        /// - Parameter shardCount: of the node, which share what the whole node may take in.
        package init(_ settings: Settings, shardCount: Int) {
            ringBytes = settings.ringBytes
            stream = StreamMachine.Limits(
                heartbeat: settings.heartbeat, checkpoint: settings.checkpoint, stall: settings.stall)
            retry = RetryPolicy(base: settings.retry, spread: settings.retrySpread)
            lifetime = settings.lifetime
            openRate = max(1, settings.openRate / shardCount)
            tellsPresence = settings.tellsPresence
        }
    }

    private static let tickInterval = TimeAmount.milliseconds(100)
    private static let tokenJitterMax = TimeAmount.seconds(30)
    private static let wheelSlots = 512
    private static let watchInterval = TimeAmount.seconds(1)
    private static let watchSlots = 16
    private static let lastRequestTime = TimeAmount.seconds(1)

    package let index: Int
    package let eventLoop: any EventLoop
    let limits: Limits
    var head: StreamHead
    let counters: Counters
    let quotas: StreamQuotas
    let log: EventLog?
    let wallClock: @Sendable () -> UInt64
    var hub: Confined<Hub>?

    let partitioning: Partitioning
    var subscribers: [Target: Subscribers<Stream>] = [:]
    var byNumber: [TargetNumber: Subscribers<Stream>] = [:]
    /// Every stream; they all listen to `all`.
    let everyone: Subscribers<Stream>
    /// nil: nobody wants to know.
    private var presence: ShardPresence?
    /// Streams of a client's token that don't listen to that client: what ends a client's streams means these, too.
    var owned: [Target: [ObjectIdentifier: Stream]] = [:]
    var feed: FeedView
    var newestOfKey = NewestOfKey()
    var wheel: TimerWheel<Stream>
    /// Streams that ended since the wheel was last swept: it has no more than these to let go of.
    var endedInWheel = 0
    /// Streams that are closed and stand in the lists of their targets still.
    var leaving: Deque<Stream> = []
    private var ticker: RepeatedTask?
    private var openRate: TokenBucket
    /// Of its connections' requests.
    package let turns: Turns
    /// Connections that are no streams yet, and requests that wait.
    private var watched: TimerWheel<any Watched>
    /// Connections that have to be told that the node goes.
    private var connections: [ObjectIdentifier: any Channel] = [:]
    private var exiles: Exiles
    /// What its connections have to be warned of.
    var complaints = Complaints(interval: .minutes(1))

    /// Streams that wait for a target to be confirmed.
    var waiting: [Target: [Stream]] = [:]
    /// Streams that wait for a reading of a partition's clock: one serves them all.
    var awaitingReading: [[Stream]]
    var readingsAsked = PartitionSet()
    /// Streams that are being written from the logs.
    var replayCount = 0

    /// What its streams tell it.
    package private(set) lazy var host = Stream.Host(
        partitioning: partitioning, inputEnded: { [unowned self] in inputEnded($0) },
        closed: { [unowned self] in closed($0) })

    var writer: FrameWriter
    /// Streams to be written in this batch. Kept, so that a batch costs no allocation.
    var dirty: ContiguousArray<Stream> = []
    /// Some stream was given late events since the last tick.
    var hadLate = false
    private var drain: Drain<Stream>?
    /// When its streams are to come back.
    var retries: RetrySequence
    /// For what the gateway itself writes to one stream: most often it goes out at once, and the next finds its memory here.
    var scratch = ByteBuffer()
    /// Not kept where it was longer, as a gap that names very many targets is.
    static let scratchBytesMax = 4 << 10
    /// Streams that rebalancing has still to end: less than one.
    private var surplus = 0.0
    var slowStreams = SlowStreams()

    package init(
        index: Int, eventLoop: any EventLoop, partitioning: Partitioning, limits: Limits, head: StreamHead,
        counters: Counters, quotas: StreamQuotas, log: EventLog? = nil,
        wallClock: @escaping @Sendable () -> UInt64 = WallClock.milliseconds
    ) {
        self.index = index
        self.eventLoop = eventLoop
        self.limits = limits
        self.head = head
        self.counters = counters
        self.quotas = quotas
        retries = RetrySequence(limits.retry)
        self.log = log
        self.wallClock = wallClock
        self.partitioning = partitioning
        writer = FrameWriter(times: DeliveryTimes(counters.deliveryTimes.tally, wallClock: wallClock))
        everyone = Subscribers(target: .all, partition: partitioning.partition(of: .all))
        awaitingReading = Array(repeating: [], count: partitioning.count)
        self.feed = FeedView(ringBytes: limits.ringBytes, partitions: partitioning.count)
        self.wheel = TimerWheel(slots: Shard.wheelSlots, tick: Shard.tickInterval, now: eventLoop.now)
        self.openRate = TokenBucket(rate: limits.openRate, now: eventLoop.now)
        self.watched = TimerWheel(slots: Shard.watchSlots, tick: Shard.tickInterval, now: eventLoop.now)
        self.exiles = Exiles()
        if limits.tellsPresence { presence = ShardPresence() }
        self.turns = Turns(eventLoop: eventLoop) { eventLoop.now }
    }

    package func start(hub: Confined<Hub>) {
        self.hub = hub
        subscribers[.all] = everyone
        let index = index
        hub.run { $0.listen(to: [.all], shard: index) }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        ticker = eventLoop.scheduleRepeatedTask(initialDelay: Shard.tickInterval, delay: Shard.tickInterval) { _ in
            bound.value.tick(now: bound.eventLoop.now)
        }
    }

    package func stop() {
        ticker?.cancel()
        for stream in everyone.streams {
            stream.note(.drain)
            stream.socket.close()
        }
        for channel in connections.values { channel.close(promise: nil) }
        // What it holds holds it.
        hub = nil
        wheel = TimerWheel(slots: Shard.wheelSlots, tick: Shard.tickInterval, now: eventLoop.now)
        watched = TimerWheel(slots: Shard.watchSlots, tick: Shard.tickInterval, now: eventLoop.now)
    }

    // MARK: Connections

    /// Looks at a connection, or a request, now and then until it is over or a stream's.
    package func watch(_ element: any Watched) {
        watched.insert(element, at: eventLoop.now + Shard.watchInterval)
    }

    /// An HTTP/2 connection: told when the node drains, closed when it stops.
    package func joined(_ channel: any Channel) {
        let id = ObjectIdentifier(channel)
        connections[id] = channel
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        channel.closeFuture.whenComplete { _ in bound.value.connections[id] = nil }
        // It came with a request, which is answered before it has to go.
        if drain != nil { eventLoop.scheduleTask(in: Shard.lastRequestTime) { Shard.dismiss(channel) } }
    }

    /// GOAWAY (RFC 9113 §6.8): what is open goes on, what is new goes elsewhere.
    private static func dismiss(_ channel: any Channel) {
        channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
    }

    /// Whether a stream may open now: more at once than the node can take in are told to come back.
    package func admits(now: NIODeadline) -> Bool {
        openRate.take(now: now)
    }

    // MARK: What the hub says

    package func receive(_ message: FeedMessage) {
        switch message {
        case .batch(let batch): deliver(batch)
        case .clock(let reading, let born, let partition):
            feed.read(clock: reading, of: partition)
            learn(born: born, in: partition)
            moveCursors(of: partition)
        case .born(let born, let partition): learn(born: born, in: partition)
        case .covered(let numbers, let since):
            for number in numbers { _ = byNumber[number]?.feed.coverage.settle(at: since) }
        case .listening(let target, let number, let coverage):
            guard let listeners = subscribers[target] else { return }
            if let old = listeners.number { byNumber[old] = nil }
            listeners.number = number
            listeners.feed.coverage = coverage
            byNumber[number] = listeners
            if coverage.isConfirmed { confirmed(listeners) }
        case .confirmed(let target):
            guard let listeners = subscribers[target] else { return }
            confirmed(listeners)
        case .gap(let gap, let id, let partition):
            let (now, clocks) = (eventLoop.now, feed.clocks)
            lose(gap)
            tell(gap) { $0.machine.gap($1, id: id, in: partition, clocks: clocks, now: now) }
        case .hole(let hole, let target, let wasHeard, let began, let partition):
            let gap = hole.gap(of: target)
            if !wasHeard { lose(gap) }
            tell(gap) { stream, _ in
                stream.machine.hole(hole, of: target, wasHeard: wasHeard, began: began, in: partition)
            }
        case .lineage(let lineage, let partition): learn(lineage, in: partition)
        case .changed(let began, let partition): changed(partition, began: began)
        case .ended(let target, let id): ended(target, by: id)
        case .disconnect(let order): disconnect(order)
        case .pause(let order, let until): pause(order, until: until)
        case .rebalance(let share): rebalance(share)
        case .count(let question): question.answer(count(question))
        }
    }

    private func confirmed(_ listeners: Subscribers<Stream>) {
        listeners.feed.coverage.confirm()
        for stream in waiting.removeValue(forKey: listeners.target) ?? []
        where stream.machine.confirmed(in: listeners.partition) {
            begin(stream, stream.targets, now: eventLoop.now)
        }
    }

    func learn(born: UInt64, in partition: Partition) {
        if feed.learn(born: born, in: partition) { changed(partition, began: .max) }
    }

    private func changed(_ partition: Partition, began: EventID) {
        for stream in everyone.streams { read(stream) { $0.wentBack(feed, began: began, in: partition) } }
    }

    /// Late events carry no id: without a checkpoint behind them a quiet stream that comes back would get them again.
    private func moveCursors(of partition: Partition) {
        guard hadLate else { return }
        hadLate = false
        let now = eventLoop.now
        for stream in everyone.streams where stream.machine.hadLate {
            if let cursor = stream.machine.read(clocks: feed.clocks, of: partition, now: now) {
                send(lines: ControlBlock.checkpoint(cursor), to: stream, now: now)
            }
            hadLate = hadLate || stream.machine.hadLate
            finishIfOver(stream, now: now)
        }
    }

    // MARK: Time

    private func tick(now: NIODeadline) {
        for stream in wheel.due(at: now) {
            if let next = wake(stream, now: now) { wheel.insert(stream, at: next) }
        }
        // A connection that is closed reads once more, and what it reads may have to be watched.
        for element in watched.due(at: now) where element.check(now: now) {
            watched.insert(element, at: now + Shard.watchInterval)
        }
        exiles.forget(now: now)
        guard let due = drain?.due(now: now) else { return }
        for stream in due { finish(stream, .drain, now: now) }
    }

    /// - Returns: when to look at the stream again; nil if it is over.
    private func wake(_ stream: Stream, now: NIODeadline) -> NIODeadline? {
        if stream.machine.isBlocked { stream.machine.queued(bytes: stream.socket.queuedBytes, now: now) }
        let (action, next) = stream.machine.wake(now: now, clocks: feed.clocks, limits: limits.stream)
        switch action {
        case .sleep:
            break
        case .head:
            send(lines: "", to: stream, now: now)
            proceed(stream, now: now)
        case .heartbeat:
            send(lines: ControlBlock.heartbeat, to: stream, now: now)
        case .checkpoint(let cursor):
            send(lines: ControlBlock.checkpoint(cursor), to: stream, now: now)
        case .stalled:
            stream.note(.stalled)
            forget(stream)
            stream.socket.close()
            return nil
        case .expired:
            finish(stream, stream.expiryEnd, now: now)
            return nil
        }
        return next == .distantFuture ? nil : next
    }

    /// When a stream ends; nil: it lives for ever. In the last fifth of the lifetime, every stream at its own time, and
    /// not after its token: in the last tenth of what that has left, because many are minted together.
    ///
    /// - Parameter token: how long the token is still good; nil: it has no end, or there is none.
    package func expiry(now: NIODeadline, token: TimeAmount?) -> Stream.Expiry? {
        var end: Stream.Expiry?
        if limits.lifetime > .zero {
            let lifetime = limits.lifetime.nanoseconds
            end = Stream.Expiry(
                time: now + .nanoseconds(Int64.random(in: lifetime / 5 * 4...lifetime)), end: .lifetime)
        }
        guard let token else { return end }
        let left = max(token.nanoseconds, 0)
        let jitter = min(left / 10, Shard.tokenJitterMax.nanoseconds)
        let last = now + .nanoseconds(left - (jitter > 0 ? Int64.random(in: 0...jitter) : 0))
        if let end, end.time <= last { return end }
        return Stream.Expiry(time: last, end: .token)
    }

    // MARK: Clients

    private func disconnect(_ order: Disconnect) {
        guard let target = try? Target.client(order.client) else { return }
        let now = eventLoop.now
        if let time = order.exile { exiles.banish(target, until: now + time) }
        for stream in streams(of: target) { finish(stream, .disconnect, now: now) }
    }

    /// - Parameter end: in milliseconds since 1970.
    private func pause(_ order: Pause, until end: UInt64) {
        guard let target = try? Target.client(order.client) else { return }
        let now = eventLoop.now
        let lines = ControlBlock.pause(until: end, seconds: order.seconds)
        for stream in streams(of: target) { finish(stream, .pause, with: lines, now: now) }
    }

    /// Those that listen to a client, and those that its token has opened.
    private func streams(of client: Target) -> [Stream] {
        Array(subscribers[client]?.streams ?? []) + (owned[client]?.values.map(\.self) ?? [])
    }

    /// Looks at no stream for it: a client or topic may be asked for all the time.
    private func count(_ question: StreamCount.Question) -> StreamCount {
        StreamCount(
            targets: question.targets.map { (subscribers[$0]?.streams.count ?? 0) + (owned[$0]?.count ?? 0) },
            slowest: question.wantsSlowest ? slowStreams.slowest(now: eventLoop.now, ringEnd: feed.ring.end) : [])
    }

    /// Whether the client was told not to come back, for now.
    package func isExiled(_ client: Target?, now: NIODeadline) -> Bool {
        client.map { exiles.contains($0, now: now) } ?? false
    }

    /// A stream of a client is there, or gone.
    func note(_ client: Target, isPresent: Bool) {
        guard presence?.note(client, isPresent: isPresent) == true else { return }
        // What changes in one turn of the loop goes together.
        eventLoop.assumeIsolated().execute { [self] in
            guard let changes = presence?.take() else { return }
            hub?.run { $0.changed(changes) }
        }
    }

    /// Ends that part of the streams, whichever they are.
    private func rebalance(_ share: Double) {
        guard drain == nil else { return }
        let now = eventLoop.now
        surplus += Double(everyone.streams.count) * share
        while surplus >= 1, let stream = everyone.streams.randomElement() {
            surplus -= 1
            finish(stream, .rebalance, now: now)
        }
    }

    /// Ends all streams, spread over `time`.
    package func beginDrain(over time: TimeAmount) {
        drain = Drain(start: eventLoop.now, time: time, streams: everyone.streams.shuffled())
        for channel in connections.values { Shard.dismiss(channel) }
    }
}

@available(*, unavailable)
extension Shard: Sendable {}

extension Confined<Shard> {
    /// Hands it what the hub says: on the shard's own loop at once, so that with one loop an event is written in the turn
    /// in which it came.
    package var receiver: @Sendable (FeedMessage) -> Void {
        { message in
            if eventLoop.inEventLoop {
                value.receive(message)
            } else {
                run { $0.receive(message) }
            }
        }
    }
}
