// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import SluiceCore

/// The node's one ordered flow of events, from the broker to every shard, and what goes the other way.
///
/// Each partition of the broker has a ``PartitionFeed``; what they bring is put in one order. Lives on one event loop with
/// the broker.
package final class Hub {
    private static let tickInterval = TimeAmount.seconds(2)

    let eventLoop: any EventLoop
    private let broker: any Broker
    private let output: FeedOutput
    private let feeds: [PartitionFeed]
    let counters: Counters
    let logger: Logger
    private let wallClock: @Sendable () -> UInt64
    private var complaints = Complaints(interval: .minutes(1))
    private var nextNumber: UInt64 = 1
    private var ticker: RepeatedTask?
    private let publishers: [PartitionPublisher]
    private var surveyor: Surveyor?
    /// nil: nobody is told who comes and goes.
    private var presence: PresenceKeeper?
    /// nil: streams stay where they are.
    private var rebalancing: Rebalancing?

    /// - Parameters:
    ///   - limits: of the node: its partitions share what it may hold.
    ///   - replayCacheBytes: what is kept of what was read from logs.
    ///   - sampling: one in so many events is in the log; 0: none.
    package init(
        eventLoop: any EventLoop, broker: any Broker, limits: FeedMachine.Limits, replayCacheBytes: Int,
        sampling: Int = 0,
        counters: Counters, status: NodeStatus,
        wallClock: @escaping @Sendable () -> UInt64, logger: Logger
    ) {
        self.eventLoop = eventLoop
        self.broker = broker
        self.counters = counters
        self.wallClock = wallClock
        self.logger = logger
        let partitions = broker.partitioning.partitions
        status.serves(broker.partitioning.all)
        let output = FeedOutput(
            partitions: partitions.count, sampling: sampling, eventLoop: eventLoop, counters: counters, logger: logger)
        var share = limits
        share.held /= partitions.count
        self.output = output
        publishers = partitions.map { PartitionPublisher(of: $0, broker: broker, eventLoop: eventLoop) }
        feeds = partitions.map {
            PartitionFeed(
                of: $0, broker: broker, output: output, limits: share, cacheBytes: replayCacheBytes / partitions.count,
                status: status, wallClock: wallClock(), eventLoop: eventLoop, logger: logger)
        }
    }

    package var partitioning: Partitioning { broker.partitioning }

    /// - Parameters:
    ///   - shards: take messages from this loop, each in their order.
    ///   - reporter: what the node says of itself.
    ///   - tellsPresence: shards say which clients come and go, and the broker is told.
    ///   - rebalances: shards end streams that other nodes have room for.
    package func start(
        shards: [@Sendable (FeedMessage) -> Void], reporter: NodeReporter, tellsPresence: Bool = false,
        rebalances: Bool = false
    ) {
        output.start(shards: shards)
        surveyor = Surveyor(
            broker: broker, output: output, eventLoop: eventLoop, reporter: reporter,
            silence: { [unowned self] in silence })
        if tellsPresence {
            presence = PresenceKeeper(
                node: reporter.node, started: wallClock(), broker: broker, eventLoop: eventLoop, logger: logger)
        }
        feeds[0].entry = { [eventLoop] in reporter.entry(now: eventLoop.now) }
        for feed in feeds { feed.logReads.onUnreadable = { [unowned self] in isUnreadable($0, $1) } }
        broker.start { [unowned self] in receive($0) }
        if rebalances {
            rebalancing = Rebalancing(
                broker: broker, output: output, eventLoop: eventLoop, reporter: reporter, logger: logger)
            rebalancing?.start()
        }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        ticker = eventLoop.scheduleRepeatedTask(initialDelay: .milliseconds(100), delay: Hub.tickInterval) { _ in
            for feed in bound.value.feeds { feed.tick(wallClock: bound.value.wallClock()) }
        }
    }

    /// Takes the node off the registry, before it stops.
    package func leave() -> EventLoopFuture<Void> {
        ticker?.cancel()
        return broker.leave()
    }

    package func stop() {
        ticker?.cancel()
        surveyor?.stop()
        surveyor = nil
        presence?.stop()
        rebalancing?.stop()
        broker.stop()
    }

    /// For how long the quietest feed has brought nothing.
    private var silence: TimeAmount {
        feeds.map { $0.silence(now: eventLoop.now) }.max() ?? .zero
    }

    private func isUnreadable(_ target: Target, _ reason: String) {
        guard complaints.isDue("log", now: eventLoop.now) else { return }
        logger.error(
            "a log can't be read: its streams are told of a gap",
            metadata: ["log": "\(target)", "reason": "\(reason)"])
    }

    // MARK: Shards

    private func feed(of target: Target) -> PartitionFeed {
        feeds[broker.partitioning.partition(of: target).index]
    }

    package func listen(to targets: [Target], shard: Int) {
        for target in targets {
            let partition = broker.partitioning.partition(of: target)
            feeds[partition.index].listen(to: target, shard: shard) {
                defer { nextNumber += 1 }
                return TargetNumber(nextNumber, in: partition)
            }
        }
    }

    package func unlisten(to targets: [Target], shard: Int) {
        for target in targets { feed(of: target).unlisten(to: target, shard: shard) }
    }

    package func mark(_ partition: Partition, markersOf targets: [Target]) -> EventLoopFuture<ClockReading> {
        feeds[partition.index].mark(markersOf: targets)
    }

    func logReads(of partition: Partition) -> LogReads {
        feeds[partition.index].logReads
    }

    // MARK: Publishing

    /// Publishes to all of them or, if the broker can't take so much now, to none.
    ///
    /// - Returns: what became of each; never fails.
    package func publish(
        _ publications: [Publication]
    ) -> EventLoopFuture<[Result<Receipt, PublishFailure>]> {
        guard !publications.isEmpty else { return eventLoop.makeSucceededFuture([]) }
        let waiting = publishers.reduce(0) { $0 + $1.bytes }
        if let failure = broker.refusal(of: waiting + PublishQueue.bytes(of: publications)) {
            return eventLoop.makeSucceededFuture(publications.map { _ in .failure(failure) })
        }
        let byPartition = Dictionary(grouping: publications.indices) { index in
            broker.partitioning.partition(of: publications[index].target)
        }
        let answers = byPartition.map { partition, indices in
            publishers[partition.index].publish(indices.map { publications[$0] }).map {
                zip(indices, $0).map { ($0, $1) }
            }
        }
        return EventLoopFuture.whenAllSucceed(answers, on: eventLoop).map { [counters] answers in
            let results = answers.flatMap(\.self).sorted { $0.0 < $1.0 }.map(\.1)
            counters.eventsPublished.add(results.count { (try? $0.get()) != nil })
            return results
        }
    }

    // MARK: Other nodes

    /// Sends an order to every node, this one included.
    ///
    /// - Returns: how many nodes it has reached. Fails with ``PublishFailure``.
    package func order(_ message: ControlMessage) -> EventLoopFuture<Int> {
        broker.order(message)
    }

    /// Asks every node how many streams it has of these, or how it is. Fails with ``PublishFailure``.
    package func survey(_ targets: [Target], wantsReport: Bool = false) -> EventLoopFuture<Surveys.Outcome> {
        surveyor?.ask(targets, wantsReport: wantsReport)
            ?? eventLoop.makeFailedFuture(PublishFailure.unavailable("the node does not run"))
    }

    /// What the registry says of nodes. Fails with ``PublishFailure``.
    package func entries(of nodes: [String]) -> EventLoopFuture<[String: NodeEntry]> {
        surveyor?.entries(of: nodes) ?? eventLoop.makeSucceededFuture([:])
    }

    /// Clients of which a shard has its first stream, or no stream any more, in this order.
    package func changed(_ changes: [ShardPresence.Change]) {
        presence?.changed(changes)
    }

    // MARK: Broker

    package func receive(_ notice: BrokerNotice) {
        switch notice {
        case .message(let payload, let number): feeds[number.partition.index].receive(payload, for: number)
        case .event(let envelope, let data, let number):
            feeds[number.partition.index].receive(envelope, data: data, for: number)
        case .readComplete: output.flush()
        case .confirmed(let target): feed(of: target).confirmed(target)
        case .gone(let target): feed(of: target).gone(target)
        case .up(let partition):
            feeds[partition.index].isUp()
            if partition == .first { presence?.brokerIsBack() }
        case .down(let partition): feeds[partition.index].isDown()
        case .alive(let partition): feeds[partition.index].isAlive()
        case .clock(let reading, let partition): feeds[partition.index].receive(clock: reading)
        case .serverTime(let time, let asked, let partition):
            feeds[partition.index].receive(serverTime: time, asked: asked)
        case .control(let payload): receive(control: payload)
        case .ordered(let message): carryOut(message)
        case .answer(let payload): receive(answer: payload)
        case .refused(let refusal): counters.redisRefusals[refusal].add(1)
        }
    }

    /// A message as it came from the control channel.
    private func receive(control payload: UnsafeRawBufferPointer) {
        do {
            let reading = try ControlMessage.read(payload)
            counters.ordersUnknown.add(reading.unknown)
            if let message = reading.message { carryOut(message) }
        } catch { dropped(error, "a message on the control channel was dropped") }
    }

    private func carryOut(_ message: ControlMessage) {
        switch message {
        case .disconnect(let order): output.sendToAll(.disconnect(order))
        case .pause(let order): output.sendToAll(.pause(order, until: wallClock() + UInt64(order.seconds) * 1000))
        case .survey(let question): surveyor?.receive(question)
        }
    }

    private func receive(answer payload: UnsafeRawBufferPointer) {
        do {
            guard payload.count <= SurveyAnswer.bytesMax, let text = String(validating: payload, as: UTF8.self) else {
                throw MalformedMessage(description: "it is no text, or too long")
            }
            surveyor?.receive(try SurveyAnswer(json: text))
        } catch { dropped(error, "an answer of another node was dropped") }
    }

    private func dropped(_ error: any Error, _ note: Logger.Message) {
        counters.ordersMalformed.add(1)
        if complaints.isDue("order", now: eventLoop.now) {
            logger.warning(note, metadata: ["problem": "\(error)"])
        }
    }
}

@available(*, unavailable)
extension Hub: Sendable {}
