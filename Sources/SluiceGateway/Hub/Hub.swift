// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Logging
import NIOCore
import SluiceCore

/// The node's one ordered flow of events: from the broker, encoded once, to every shard.
///
/// Knows which targets the shards listen to, and tells the broker. Notices what the feed has lost, and repairs it from
/// the logs (`Hub+Repair.swift`). Lives on one event loop with the broker.
package final class Hub {
    /// What a shard is told, in the order of the feed.
    package enum Message: Sendable {
        case batch(Batch)
        /// Every event with an id up to this one has been delivered; the data set's birth. Nothing that an event says
        /// moves it.
        case clock(EventID, born: UInt64)
        case listening(Target, TargetNumber, isConfirmed: Bool, since: EventID?)
        case confirmed(Target)
        /// Lost for good, for everyone who listens to it.
        case gap(Gap, id: EventID?)
        /// The topic was closed by an event with this id, which can't be delivered any more.
        case ended(Target, EventID)
        case disconnect(Disconnect)
    }

    /// How far an id may be ahead of this machine's clock as long as the broker's own time is not known, in milliseconds.
    private static let skewMax: UInt64 = 60_000
    private static let tickInterval = TimeAmount.seconds(2)
    /// So many ticks without anything from the feed: it is connected and yet brings nothing.
    private static let silentTicksMax = 2
    private static let orderBytesMax = 4096
    /// Targets whose markers are compared with what has arrived, at each tick.
    private static let auditedPerTick = 512
    /// Repairs that one audit may begin; what else it has found is found again.
    private static let repairsPerAudit = 16

    let eventLoop: any EventLoop
    let broker: any Broker
    let logReads: LogReads
    let counters: Counters
    let logger: Logger
    private let eventBytesMax: Int
    private let status: NodeStatus
    private let wallClock: @Sendable () -> UInt64
    private var complaints = Complaints(interval: .minutes(1))
    private var shards: [Confined<Shard>] = []
    var interests: [Target: Interest] = [:]
    var byNumber: [TargetNumber: Interest] = [:]
    /// Confirmed, and no reading of the clock has come since.
    private var fresh: [Interest] = []
    private var toAudit: Deque<Target> = []
    private var nextNumber: UInt64 = 1
    var builder = BatchBuilder()
    /// When the data set began, in milliseconds since 1970; 0: not known yet.
    var born: UInt64 = 0
    /// The whole feed is being repaired, and everything that arrives is held back.
    var repair: FeedRepair?
    /// Single targets that have lost something, and of which everything that arrives is held back.
    var targetRepairs: [TargetNumber: TargetRepair] = [:]
    /// What is held back of single targets, in bytes.
    var heldOfTargets = 0
    /// What repairs have brought: the feed may still bring the same, until a tick from behind them comes.
    var repairedIDs: Set<EventID> = []
    var repairedUpTo = EventID.zero
    /// The first reading of the clock that a stream may have begun with.
    private var firstMark: EventID?
    var isConnected = false
    private var hasHeard = true
    private var silentTicks = 0
    private var tickSent: NIODeadline
    /// The highest reading of the clock: every event with an id up to this one has arrived. Unlike the builder's clock
    /// it is nothing that an event could push, so it is what others are told.
    private(set) var reading = EventID.zero
    private var serverTime = ServerTime()
    /// Ids up to this time are not from the future, in milliseconds; what is later is looked at anew.
    private var latestTime: UInt64 = 0
    /// Events of these were dropped because they seemed to be from the future: the next reading shows whether they were.
    private var suspects: Set<Target> = []
    private var ticker: RepeatedTask?
    private var publishQueue = PublishQueue()
    private var publishing: [PublishQueue.Ticket: EventLoopPromise<[Result<Receipt, PublishFailure>]>] = [:]
    /// Events are being handed to the broker, which may answer at once.
    private var isPublishing = false

    package init(
        eventLoop: any EventLoop, broker: any Broker, eventBytesMax: Int, replayCacheBytes: Int, counters: Counters,
        status: NodeStatus,
        wallClock: @escaping @Sendable () -> UInt64, logger: Logger
    ) {
        self.eventLoop = eventLoop
        self.broker = broker
        tickSent = eventLoop.now
        self.logReads = LogReads(
            broker: broker, eventLoop: eventLoop, counters: counters, cacheBytes: replayCacheBytes)
        self.eventBytesMax = eventBytesMax
        self.counters = counters
        self.status = status
        self.wallClock = wallClock
        self.logger = logger
    }

    package func start(shards: [Confined<Shard>]) {
        self.shards = shards
        logReads.onUnreadable = { [unowned self] target, reason in
            guard complaints.isDue("log", now: eventLoop.now) else { return }
            logger.error(
                "a log can't be read: its streams are told of a gap",
                metadata: ["log": "\(target)", "reason": "\(reason)"])
        }
        broker.start(feeding: self)
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
        silentTicks = hasHeard ? 0 : silentTicks + 1
        hasHeard = false
        if isConnected, silentTicks > Hub.silentTicksMax {
            logger.warning("the feed brings nothing; connecting anew")
            silentTicks = 0
            broker.reconnect()
        }
        tickSent = eventLoop.now
        broker.tick(known: reading)
        audit(nextToAudit())
    }

    // MARK: Shards

    /// On the shard's own loop at once, so that with one loop an event is written in the turn in which it came.
    private func send(_ message: Message, to shard: Confined<Shard>) {
        if shard.eventLoop.inEventLoop {
            shard.value.receive(message)
        } else {
            shard.run { $0.receive(message) }
        }
    }

    func sendToAll(_ message: Message) {
        for shard in shards { send(message, to: shard) }
    }

    package func listen(to targets: [Target], shard index: Int) {
        for target in targets {
            let interest = interests[target] ?? newInterest(target)
            if interest.shards.isEmpty {
                interest.isConfirmed = broker.want(target, as: interest.number)
                // Wanted again while it was being given up: what is published in between does not arrive.
                if !interest.isConfirmed { interest.since = nil }
            }
            interest.shards.insert(index)
            if interest.isConfirmed, interest.since == nil { fresh.append(interest) }
            send(
                .listening(target, interest.number, isConfirmed: interest.isConfirmed, since: interest.covered),
                to: shards[index])
        }
    }

    private func newInterest(_ target: Target) -> Interest {
        let interest = Interest(target: target, number: TargetNumber(nextNumber))
        nextNumber += 1
        interests[target] = interest
        byNumber[interest.number] = interest
        return interest
    }

    package func unlisten(to targets: [Target], shard index: Int) {
        for target in targets {
            guard let interest = interests[target], interest.shards.remove(index) != nil else { continue }
            if interest.shards.isEmpty { broker.release(target) }
        }
    }

    package func mark(markersOf targets: [Target]) -> EventLoopFuture<ClockReading> {
        let reading = broker.mark(markersOf: targets)
        reading.assumeIsolated().whenSuccess { [self] in firstMark = firstMark ?? $0.clock }
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

    package func confirmed(_ target: Target) {
        guard let interest = interests[target] else { return }
        interest.isConfirmed = true
        if interest.since == nil { fresh.append(interest) }
        for index in interest.shards { send(.confirmed(target), to: shards[index]) }
    }

    /// Nothing of this target arrives any more.
    package func gone(_ target: Target) {
        guard let interest = interests[target], interest.shards.isEmpty else { return }
        interests[target] = nil
        byNumber[interest.number] = nil
        if let repair = targetRepairs.removeValue(forKey: interest.number) { heldOfTargets -= repair.heldBytes }
    }

    package func feedIsUp() {
        isConnected = true
        silentTicks = 0
        // Before anything is read: a Redis that came back with older data has to be told.
        broker.tick(known: reading)
        // Before the first reading of the clock no stream can begin, and perhaps none ever will: Redis may lack the function.
        if let repair { begin(repair) } else if reading > .zero { status.feedIsUp() }
    }

    /// The feed works, and everything up to this reading of the clock has arrived.
    func feedIsWhole(upTo mark: EventID) {
        raise(mark)
        status.feedIsUp()
    }

    /// The feed brings something, or the broker says why it can't be asked to.
    package func isAlive() {
        hasHeard = true
    }

    private func raise(_ clock: EventID) {
        reading = max(reading, clock)
        builder.raise(clock: clock)
    }

    package func feedIsDown() {
        flush()
        isConnected = false
        status.feedIsDown(now: eventLoop.now)
        logReads.forget()
        for interest in interests.values { interest.isConfirmed = false }
        // Everything up to the clock has arrived; what comes after has to be looked up. Without a clock no stream has
        // begun, or with a reading of its own.
        let arrived = reading > .zero ? reading : firstMark
        var earlier = repair?.earlier ?? [:]
        for repair in targetRepairs.values { earlier[repair.interest.target] = repair.after }
        targetRepairs = [:]
        heldOfTargets = 0
        repair = arrived.map { FeedRepair(after: $0, earlier: earlier) }
    }

    /// A message as it came from a channel.
    package func receive(_ payload: UnsafeRawBufferPointer, for number: TargetNumber) {
        hasHeard = true
        if let repair { hold(payload, for: number, in: repair) } else { take(payload, for: number) }
    }

    /// A message whose turn has come.
    func take(_ payload: UnsafeRawBufferPointer, for number: TargetNumber) {
        do {
            let envelope = try Envelope(decoding: payload)
            // Before its predecessor is believed, and looked for.
            guard !isFromFuture(envelope, number) else { return }
            if !targetRepairs.isEmpty, let repair = targetRepairs[number] { return hold(payload, envelope, in: repair) }
            guard isInSequence(envelope, number) else { return startRepair(before: envelope, payload, for: number) }
            receive(envelope, data: UnsafeRawBufferPointer(rebasing: payload[envelope.dataOffset...]), for: number)
        } catch {
            counters.eventsMalformed.add(1)
            complain("an envelope that does not parse was dropped", number, ["problem": "\(error)"])
        }
    }

    /// Whether the clock can't have given out this id by now.
    private func isFromFuture(_ envelope: Envelope, _ number: TargetNumber) -> Bool {
        guard let id = envelope.id, id.milliseconds > latestTime else { return false }
        // A clock that was ahead of the time when it was read goes on from where it was.
        latestTime = max(serverTime.latest(now: eventLoop.now) ?? wallClock() + Hub.skewMax, reading.milliseconds)
        guard id.milliseconds > latestTime else { return false }
        counters.eventsMalformed.add(1)
        if let target = byNumber[number]?.target { suspects.insert(target) }
        complain("an event with an id from the future was dropped", number, ["id": "\(id)"])
        return true
    }

    /// What the broker's own clock says.
    package func receive(serverTime time: UInt64, asked: NIODeadline) {
        serverTime.read(time, asked: asked)
        latestTime = 0
    }

    /// The event before it in its log has arrived, or came before this node listened.
    private func isInSequence(_ envelope: Envelope, _ number: TargetNumber) -> Bool {
        guard let previous = envelope.previous, let known = byNumber[number]?.known else { return true }
        return previous <= known
    }

    package func receive(_ envelope: Envelope, data: UnsafeRawBufferPointer, for number: TargetNumber) {
        if !repairedIDs.isEmpty, let id = envelope.id, repairedIDs.contains(id) { return }
        counters.eventsReceived.add(1)
        // A logged one has passed the limit of whoever published it, and would come back from its log.
        guard envelope.id != nil || data.count <= eventBytesMax else {
            counters.eventsOversized.add(1)
            return complain("an event over --max-event was dropped", number, ["bytes": "\(data.count)"])
        }
        append(envelope, data: data, for: number)
    }

    func append(_ envelope: Envelope, data: UnsafeRawBufferPointer, for number: TargetNumber) {
        if let id = envelope.id, let interest = byNumber[number] { interest.last = max(interest.last, id) }
        if builder.append(envelope, data: data, target: number) { counters.eventsRepaired.add(1) }
    }

    /// A reading of the clock that came through the feed: every earlier event has come before it.
    package func receive(clock: EventID, born: UInt64) {
        hasHeard = true
        counters.feedLatency.set(Int((eventLoop.now - tickSent).nanoseconds / 1000))
        guard repair == nil else { return }
        self.born = born
        if clock >= repairedUpTo { repairedIDs = [] }
        flush()
        raise(clock)
        settleFresh()
        if isConnected { status.feedIsUp() }
        sendToAll(.clock(reading, born: born))
        auditSuspects()
    }

    /// An order as it came from its channel.
    package func receive(order payload: UnsafeRawBufferPointer) {
        do {
            guard payload.count <= Hub.orderBytesMax, let text = String(validating: payload, as: UTF8.self) else {
                throw Disconnect.Malformed(description: "it is no text, or too long")
            }
            receive(order: try Disconnect(json: text))
        } catch {
            counters.ordersMalformed.add(1)
            if complaints.isDue("order", now: eventLoop.now) {
                logger.warning("an order on the control channel was dropped", metadata: ["problem": "\(error)"])
            }
        }
    }

    package func receive(order: Disconnect) {
        // What was published to the client before goes out before its streams end.
        flush()
        sendToAll(.disconnect(order))
    }

    package func order(_ disconnect: Disconnect) -> EventLoopFuture<Int> {
        broker.order(disconnect)
    }

    /// Hands what has come to the shards.
    package func flush() {
        guard let batch = builder.finish() else { return }
        sendToAll(.batch(batch))
    }

    /// A tick has come since these were confirmed: from here on nothing of them is missed.
    private func settleFresh() {
        guard !fresh.isEmpty, reading > .zero else { return }
        for interest in fresh where interest.isConfirmed && interest.since == nil { interest.since = reading }
        fresh.removeAll()
    }

    /// Once a minute for each kind of complaint: a bad publisher must not fill the log.
    func complain(_ message: String, _ number: TargetNumber, _ details: Logger.Metadata) {
        guard complaints.isDue(message, now: eventLoop.now) else { return }
        let target = byNumber[number]?.target.description ?? "?"
        logger.warning("\(message)", metadata: details.merging(["target": "\(target)"]) { old, _ in old })
    }

    // MARK: Audit

    private func nextToAudit() -> [Target] {
        if toAudit.isEmpty { toAudit.append(contentsOf: interests.keys) }
        let audited = Array(toAudit.prefix(Hub.auditedPerTick))
        toAudit.removeFirst(audited.count)
        return audited
    }

    /// The clock may have leapt: then an event that seemed to be from the future is in its log.
    private func auditSuspects() {
        let audited = Array(suspects.prefix(Hub.auditedPerTick))
        suspects.subtract(audited)
        audit(audited)
    }

    /// A message that was lost in silence is noticed at the next one of its target; where there is none, here: the
    /// newest ids that the broker knows are compared with what has arrived, some targets at a time.
    private func audit(_ audited: [Target]) {
        guard isConnected, repair == nil, !audited.isEmpty else { return }
        // What was published up to here has arrived, or is lost.
        let arrived = reading
        broker.mark(markersOf: audited).assumeIsolated().whenSuccess { [self] reading in
            guard repair == nil else { return }
            var started = 0
            for (target, marker) in zip(audited, reading.markers) where started < Hub.repairsPerAudit {
                guard let marker, let interest = interests[target], let known = interest.known, marker.id > known,
                    marker.id <= arrived, targetRepairs[interest.number] == nil
                else { continue }
                started += 1
                startRepair(of: interest, after: known, through: marker.id, end: marker.ends ? marker.id : nil)
            }
        }
    }
}

@available(*, unavailable)
extension Hub: Sendable {}
