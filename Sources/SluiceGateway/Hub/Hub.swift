// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import SluiceCore

/// The node's one ordered flow of events: from the broker, encoded once, to every shard.
///
/// The ``FeedMachine`` decides what to deliver, and when; the hub performs what it says. Lives on one event loop with the
/// broker.
package final class Hub {
    private static let tickInterval = TimeAmount.seconds(2)
    private static let orderBytesMax = 4096
    /// What repairs bring goes out in batches of this size.
    private static let batchBytes = 64 * 1024

    let eventLoop: any EventLoop
    private let broker: any Broker
    let logReads: LogReads
    let counters: Counters
    let logger: Logger
    private let status: NodeStatus
    private let wallClock: @Sendable () -> UInt64
    private var complaints = Complaints(interval: .minutes(1))
    private var shards: [@Sendable (FeedMessage) -> Void] = []
    private var nextNumber: UInt64 = 1
    private var feed: FeedMachine
    private var isPerforming = false
    /// What repairs have brought waits in the builder.
    private var isFlushDue = false
    private var builder = BatchBuilder()
    /// When the first message since the last flush came.
    private var readTime: NIODeadline?
    private var tickSent: NIODeadline
    private var ticker: RepeatedTask?
    private var publishQueue = PublishQueue()
    private var publishing: [PublishQueue.Ticket: EventLoopPromise<[Result<Receipt, PublishFailure>]>] = [:]
    /// Events are being handed to the broker, which may answer at once.
    private var isPublishing = false

    package init(
        eventLoop: any EventLoop, broker: any Broker, limits: FeedMachine.Limits, replayCacheBytes: Int,
        counters: Counters, status: NodeStatus,
        wallClock: @escaping @Sendable () -> UInt64, logger: Logger
    ) {
        self.eventLoop = eventLoop
        self.broker = broker
        tickSent = eventLoop.now
        feed = FeedMachine(limits: limits, wallClock: wallClock(), now: eventLoop.now)
        self.logReads = LogReads(
            broker: broker, eventLoop: eventLoop, counters: counters, cacheBytes: replayCacheBytes)
        self.counters = counters
        self.status = status
        self.wallClock = wallClock
        self.logger = logger
    }

    /// - Parameter shards: take messages from this loop, each in their order.
    package func start(shards: [@Sendable (FeedMessage) -> Void]) {
        self.shards = shards
        logReads.onUnreadable = { [unowned self] target, reason in
            guard complaints.isDue("log", now: eventLoop.now) else { return }
            logger.error(
                "a log can't be read: its streams are told of a gap",
                metadata: ["log": "\(target)", "reason": "\(reason)"])
        }
        broker.start { [unowned self] in receive($0) }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        ticker = eventLoop.scheduleRepeatedTask(initialDelay: .milliseconds(100), delay: Hub.tickInterval) { _ in
            bound.value.tick()
        }
    }

    package func stop() {
        ticker?.cancel()
        broker.stop()
    }

    private func tick() {
        feed.tick(now: eventLoop.now, wallClock: wallClock())
        perform()
    }

    // MARK: Shards

    /// After everything that has come before.
    private func sendToAll(_ message: FeedMessage) {
        flush()
        for shard in shards { shard(message) }
    }

    package func listen(to targets: [Target], shard index: Int) {
        for target in targets {
            let number = feed.number(of: target) ?? newNumber()
            if feed.listen(to: target, as: number, shard: index) {
                feed.wanted(target, isConfirmed: broker.want(target, as: number))
            }
            shards[index](.listening(target, number, feed.coverage(of: target)))
        }
    }

    private func newNumber() -> TargetNumber {
        defer { nextNumber += 1 }
        return TargetNumber(nextNumber)
    }

    package func unlisten(to targets: [Target], shard index: Int) {
        for target in targets where feed.unlisten(to: target, shard: index) { broker.release(target) }
    }

    package func mark(markersOf targets: [Target]) -> EventLoopFuture<ClockReading> {
        let reading = broker.mark(.first, markersOf: targets)
        reading.assumeIsolated().whenSuccess { [self] in feed.streamBegins(after: $0.clock) }
        return reading
    }

    /// Publishes to all of them or, if the broker can't take so much now, to none.
    ///
    /// - Returns: what became of each; never fails.
    package func publish(
        _ publications: [Publication]
    ) -> EventLoopFuture<[Result<Receipt, PublishFailure>]> {
        guard !publications.isEmpty else { return eventLoop.makeSucceededFuture([]) }
        if let failure = broker.refusal(of: publishQueue.bytes + PublishQueue.bytes(of: publications)) {
            return eventLoop.makeSucceededFuture(publications.map { _ in .failure(failure) })
        }
        counters.eventsPublished.add(publications.count)
        let promise = eventLoop.makePromise(of: [Result<Receipt, PublishFailure>].self)
        publishing[publishQueue.add(publications)] = promise
        publishNext()
        return promise.futureResult
    }

    private func publishNext() {
        guard !isPublishing else { return }
        isPublishing = true
        while let (ticket, index, publication) = publishQueue.next() {
            broker.publish(publication).assumeIsolated().whenComplete { [self] result in
                let result = result.mapError { $0 as? PublishFailure ?? .unavailable("\($0)") }
                if let results = publishQueue.answered(ticket, index, result) {
                    publishing.removeValue(forKey: ticket)?.succeed(results)
                }
                publishNext()
            }
        }
        isPublishing = false
    }

    // MARK: Broker

    package func receive(_ notice: BrokerNotice) {
        switch notice {
        case .message(let payload, let number): receive(payload, for: number)
        case .event(let envelope, let data, let number): receive(envelope, data: data, for: number)
        case .readComplete: flush()
        case .confirmed(let target): confirmed(target)
        case .gone(let target): feed.gone(target)
        case .up: feedIsUp()
        case .down: feedIsDown()
        case .alive: feed.isAlive()
        case .clock(let reading, _): receive(clock: reading)
        case .serverTime(let time, let asked, _): feed.received(serverTime: time, asked: asked)
        case .order(let payload): receive(order: payload)
        case .disconnect(let order): sendToAll(.disconnect(order))
        case .refused(let refusal): counters.redisRefusals[refusal].add(1)
        }
    }

    private func confirmed(_ target: Target) {
        // What came before the confirmation is no part of what a stream that waits for it gets.
        flush()
        for index in feed.confirmed(target) { shards[index](.confirmed(target)) }
        perform()
    }

    private func feedIsUp() {
        feed.connectionUp(now: eventLoop.now)
        perform()
    }

    private func feedIsDown() {
        flush()
        feed.connectionLost()
        status.feedIsDown(now: eventLoop.now)
        logReads.feedIsDown()
    }

    /// A message as it came from a channel.
    private func receive(_ payload: UnsafeRawBufferPointer, for number: TargetNumber) {
        let now = readTime ?? eventLoop.now
        readTime = now
        if let envelope = feed.received(payload, for: number, now: now) {
            append(envelope, data: UnsafeRawBufferPointer(rebasing: payload[envelope.dataOffset...]), for: number)
        }
        if !feed.isIdle { perform() }
    }

    /// An event of a broker that loses nothing.
    private func receive(_ envelope: Envelope, data: UnsafeRawBufferPointer, for number: TargetNumber) {
        if feed.received(envelope, bytes: data.count, for: number) { append(envelope, data: data, for: number) }
        if !feed.isIdle { perform() }
    }

    private func append(_ envelope: borrowing Envelope, data: UnsafeRawBufferPointer, for number: TargetNumber) {
        counters.eventsReceived.add(1)
        if builder.append(envelope, data: data, target: number) { counters.eventsRepaired.add(1) }
    }

    private func receive(clock reading: ClockReading) {
        let latency = eventLoop.now - tickSent
        counters.feedLatency.set(Int(latency.nanoseconds / 1000))
        counters.feedTimes.observe(latency)
        feed.received(clock: reading.clock, born: reading.born)
        perform()
    }

    /// An order as it came from its channel.
    private func receive(order payload: UnsafeRawBufferPointer) {
        do {
            guard payload.count <= Hub.orderBytesMax, let text = String(validating: payload, as: UTF8.self) else {
                throw Disconnect.Malformed(description: "it is no text, or too long")
            }
            sendToAll(.disconnect(try Disconnect(json: text)))
        } catch {
            counters.ordersMalformed.add(1)
            if complaints.isDue("order", now: eventLoop.now) {
                logger.warning("an order on the control channel was dropped", metadata: ["problem": "\(error)"])
            }
        }
    }

    package func order(_ disconnect: Disconnect) -> EventLoopFuture<Int> {
        broker.order(disconnect)
    }

    /// Hands what has come to the shards.
    private func flush() {
        readTime = nil
        isFlushDue = false
        guard let batch = builder.finish() else { return }
        for shard in shards { shard(.batch(batch)) }
    }

    // MARK: The feed's machine

    /// Does what the machine says. What the broker answers meanwhile waits for its turn.
    private func perform() {
        guard !isPerforming else { return }
        isPerforming = true
        let now = eventLoop.now
        while let action = feed.next(now: now) { perform(action) }
        isPerforming = false
        if isFlushDue { flush() }
    }

    private func perform(_ action: FeedAction) {
        switch action {
        case .deliver(let envelope, let payload, let number):
            payload.withUnsafeReadableBytes {
                append(envelope, data: UnsafeRawBufferPointer(rebasing: $0[envelope.dataOffset...]), for: number)
            }
            delivered()
        case .replay(let entry, let segment, let number):
            builder.append(entry, of: segment, target: number)
            delivered()
        case .gap(let gap, let id): sendToAll(.gap(gap, id: id))
        case .ended(let target, let id): sendToAll(.ended(target, id))
        case .covered(let numbers, let since): sendToAll(.covered(numbers, since: since))
        case .reading(let reading, let born):
            flush()
            builder.raise(clock: reading)
            sendToAll(.clock(reading, born: born))
        case .repaired(let reading): builder.raise(clock: reading)
        case .readable(let born):
            if born > 0 { sendToAll(.born(born)) }
            logReads.goOn()
        case .ready: status.feedIsUp()
        case .repairing: counters.repairs.add(1)
        case .readMarkers(let read): perform(read)
        case .readLog(let read): perform(read)
        case .wake(let attempt, let time):
            eventLoop.assumeIsolated().scheduleTask(deadline: time) { [self] in
                feed.woken(attempt, now: eventLoop.now)
                perform()
            }
        case .goOn:
            eventLoop.assumeIsolated().execute { [self] in
                feed.release(now: eventLoop.now)
                perform()
            }
        case .pause(let target, let time): broker.pause(target, for: time)
        case .tick(let known):
            tickSent = eventLoop.now
            broker.tick(.first, known: known)
        case .reconnect:
            logger.warning("the feed brings nothing; connecting anew")
            broker.reconnect(.first)
        case .complain(let complaint, let target): complain(complaint, target)
        }
    }

    /// In batches, because what is read or held may be much.
    private func delivered() {
        isFlushDue = true
        if builder.pendingBytes > Hub.batchBytes { flush() }
    }

    private func perform(_ read: MarkerRead) {
        broker.mark(.first, markersOf: read.targets).assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let answer): feed.markers(answer, of: read, now: eventLoop.now)
            case .failure: feed.markersFailed(read, now: eventLoop.now)
            }
            perform()
        }
    }

    private func perform(_ read: FeedRead) {
        let request = read.request
        logReads.read(
            request.target, after: request.after, through: read.through, bytes: request.bytes, isUrgent: true
        ) { [self] outcome in
            feed.received(outcome, of: read, now: eventLoop.now)
            perform()
        }
    }

    private func complain(_ complaint: FeedComplaint, _ target: Target?) {
        switch complaint {
        case .malformed(let problem):
            counters.eventsMalformed.add(1)
            warn("an envelope that does not parse was dropped", target, ["problem": "\(problem)"])
        case .future(let id):
            counters.eventsMalformed.add(1)
            warn("an event with an id from the future was dropped", target, ["id": "\(id)"])
        case .oversized(let bytes):
            counters.eventsReceived.add(1)
            counters.eventsOversized.add(1)
            warn("an event over --max-event was dropped", target, ["bytes": "\(bytes)"])
        case .lost:
            warn("an event was lost on its way; reading it from its log", target)
        case .paused:
            counters.targetsPaused.add(1)
            warn("one target brings more than --topic-bytes a second; nothing of it is taken for a while", target)
        case .heldTooMuch:
            warn("more has arrived than can be held during a repair; live events were dropped", target)
        }
    }

    /// Once a minute for each kind of complaint: a bad publisher must not fill the log.
    private func warn(_ message: String, _ target: Target?, _ details: Logger.Metadata = [:]) {
        guard complaints.isDue(message, now: eventLoop.now) else { return }
        let target = target?.description ?? "?"
        logger.warning("\(message)", metadata: details.merging(["target": "\(target)"]) { old, _ in old })
    }
}

@available(*, unavailable)
extension Hub: Sendable {}
