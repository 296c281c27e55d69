// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import SluiceCore

/// The feed of one partition: performs what its ``FeedMachine`` says.
///
/// Lives on the hub's loop.
package final class PartitionFeed {
    private let partition: Partition
    private let broker: any Broker
    private let eventLoop: any EventLoop
    private let output: FeedOutput
    private let status: NodeStatus
    private let logger: Logger
    let logReads: LogReads
    private var machine: FeedMachine
    private var isPerforming = false
    /// Streams that begin have had the broker asked for a tick before its time.
    private var tickAsked: NIODeadline?
    /// A broker that refuses ticks is not asked for one with each stream.
    private static let tickPause = TimeAmount.milliseconds(250)
    /// For streams that begin, since the last tick was asked for.
    private var readings = 0
    /// After so many a tick is asked for before its time. What it brings is good for all streams that begin later on the same
    /// targets: in a burst it spares them a reading each.
    private static let readingsPerTick = 16
    /// The oldest tick that has not arrived; nil: none is on its way.
    private var tickSent: NIODeadline?
    /// When the feed has shown that it is there.
    private var lastHeard: NIODeadline
    /// Of the node in the registry; nil: another partition's ticks refresh it.
    var entry: (() -> NodeEntry)?

    /// - Parameters:
    ///   - wallClock: this machine's, in milliseconds since 1970.
    ///   - cacheBytes: what is kept of what was read from logs.
    init(
        of partition: Partition, broker: any Broker, output: FeedOutput, limits: FeedMachine.Limits, cacheBytes: Int,
        status: NodeStatus, wallClock: UInt64, eventLoop: any EventLoop, logger: Logger
    ) {
        self.partition = partition
        self.broker = broker
        self.output = output
        self.eventLoop = eventLoop
        self.status = status
        self.logger = logger
        lastHeard = eventLoop.now
        machine = FeedMachine(limits: limits, wallClock: wallClock, now: eventLoop.now)
        logReads = LogReads(
            partition, broker: broker, eventLoop: eventLoop, counters: output.counters, cacheBytes: cacheBytes)
        logReads.onRead = { [weak self] page, target in self?.read(page, of: target) ?? page }
    }

    func tick(wallClock: UInt64) {
        machine.tick(now: eventLoop.now, wallClock: wallClock)
        perform()
    }

    /// For how long the feed has brought nothing, a tick at least.
    func silence(now: NIODeadline) -> TimeAmount { now - lastHeard }

    // MARK: Who listens

    /// - Parameter number: makes one for a target that is new.
    func listen(to target: Target, shard: Int, number: () -> TargetNumber) {
        let number = machine.number(of: target) ?? number()
        if machine.listen(to: target, as: number, shard: shard) {
            machine.wanted(target, isConfirmed: broker.want(target, as: number))
        }
        output.send(.listening(target, number, machine.coverage(of: target)), to: shard)
    }

    func unlisten(to target: Target, shard: Int) {
        if machine.unlisten(to: target, shard: shard) { broker.release(target) }
    }

    func confirmed(_ target: Target) {
        // What came before the confirmation is no part of what a stream that waits for it gets.
        output.flush()
        for shard in machine.confirmed(target) { output.send(.confirmed(target), to: shard) }
        perform()
    }

    func gone(_ target: Target) {
        machine.gone(target)
    }

    /// A reading of the clock for streams that begin, and some markers.
    ///
    /// Not before the node has told a Redis that came back which ids were given out: the clock of a new master may lie behind
    /// the cursors that it has told.
    func mark(markersOf targets: [Target]) -> EventLoopFuture<ClockReading> {
        guard !logReads.isHeldBack else {
            return eventLoop.makeFailedFuture(PublishFailure.unavailable("the feed is away"))
        }
        // The clock of a server that has just become the master stands where it was replicated last, which may be behind the
        // cursors of clients, until somebody ticks; and this node may be the first.
        if machine.reading == .zero, tickAsked.map({ eventLoop.now - $0 > PartitionFeed.tickPause }) ?? true {
            tickAsked = eventLoop.now
            perform(.tick(known: .zero))
        }
        readings += 1
        if readings == PartitionFeed.readingsPerTick { perform(.tick(known: machine.reading)) }
        let reading = broker.mark(partition, markersOf: targets)
        reading.assumeIsolated().whenSuccess { [self] in machine.streamBegins(after: $0.clock) }
        return reading
    }

    // MARK: What comes

    func isUp() {
        machine.connectionUp(now: eventLoop.now)
        perform()
    }

    func isDown() {
        output.flush()
        tickSent = nil
        tickAsked = nil
        machine.connectionLost()
        status.feedIsDown(partition, now: eventLoop.now)
        logReads.feedIsDown()
    }

    func isAlive() {
        lastHeard = eventLoop.now
        machine.isAlive()
    }

    /// A message as it came from a channel.
    func receive(_ payload: UnsafeRawBufferPointer, for number: TargetNumber) {
        if let envelope = machine.received(payload, for: number, now: output.now()) {
            output.append(
                envelope, data: UnsafeRawBufferPointer(rebasing: payload[envelope.dataOffset...]), for: number)
        }
        if !machine.isIdle { perform() }
    }

    /// An event of a broker that loses nothing.
    func receive(_ envelope: Envelope, data: UnsafeRawBufferPointer, for number: TargetNumber) {
        if machine.received(envelope, bytes: data.count, for: number) {
            output.append(envelope, data: data, for: number)
        }
        if !machine.isIdle { perform() }
    }

    func receive(clock reading: ClockReading) {
        lastHeard = eventLoop.now
        if let sent = tickSent { output.counters.feedTimes.observe(lastHeard - sent) }
        tickSent = nil
        machine.received(clock: reading.clock, born: reading.born)
        perform()
    }

    func receive(serverTime time: UInt64, asked: NIODeadline) {
        machine.received(serverTime: time, asked: asked)
    }

    // MARK: The machine

    /// Does what the machine says. What the broker answers meanwhile waits for its turn.
    private func perform() {
        guard !isPerforming else { return }
        isPerforming = true
        let now = eventLoop.now
        while let action = machine.next(now: now) { perform(action) }
        isPerforming = false
        output.flushIfDue()
    }

    private func perform(_ action: FeedAction) {
        switch action {
        case .deliver(let envelope, let payload, let number):
            payload.withUnsafeReadableBytes {
                output.appendRepaired(
                    envelope, data: UnsafeRawBufferPointer(rebasing: $0[envelope.dataOffset...]), for: number)
            }
        case .replay(let entry, let segment, let number): output.appendRepaired(entry, of: segment, for: number)
        case .gap(let gap, let id): output.sendToAll(.gap(gap, id: id, in: partition))
        case .hole(let hole, let target, let wasHeard, let began):
            logReads.forget(target)
            output.sendToAll(.hole(hole, of: target, wasHeard: wasHeard, began: began, in: partition))
        case .lineage(let lineage): output.sendToAll(.lineage(lineage, in: partition))
        case .changed(let began): output.sendToAll(.changed(began: began, in: partition))
        case .report(let report): perform(report)
        case .ended(let target, let id): output.sendToAll(.ended(target, id))
        case .covered(let numbers, let since): output.sendToAll(.covered(numbers, since: since))
        case .reading(let reading, let born):
            output.flush()
            output.raise(clock: reading, of: partition)
            output.sendToAll(.clock(reading, born: born, of: partition))
        case .repaired(let reading): output.raise(clock: reading, of: partition)
        case .readable(let born):
            if born > 0 { output.sendToAll(.born(born, in: partition)) }
            logReads.goOn()
        case .ready: status.feedIsUp(partition)
        case .repairing: output.counters.repairs.add(1)
        case .readMarkers(let read): perform(read)
        case .readLog(let read): perform(read)
        case .wake(let attempt, let time):
            eventLoop.assumeIsolated().scheduleTask(deadline: time) { [self] in
                machine.woken(attempt, now: eventLoop.now)
                perform()
            }
        case .goOn:
            eventLoop.assumeIsolated().execute { [self] in
                machine.release(now: eventLoop.now)
                perform()
            }
        case .pause(let target, let time): broker.pause(target, for: time)
        case .tick(let known):
            readings = 0
            tickSent = tickSent ?? eventLoop.now
            broker.tick(partition, known: known, entry: entry?())
        case .reconnect:
            logger.warning("the feed brings nothing; connecting anew", metadata: ["partition": "\(partition)"])
            broker.reconnect(partition)
        case .complain(let complaint, let target): output.complain(complaint, about: target)
        }
    }

    private func perform(_ report: HeardReport) {
        broker.report(partition, report).assumeIsolated().whenComplete { [self] result in
            if case .success = result { machine.reported(true) } else { machine.reported(false) }
            perform()
        }
    }

    /// - Returns: the same, with what is known of its holes.
    private func read(_ page: LogPage, of target: Target) -> LogPage {
        var page = page
        if let newest = page.entries.last {
            machine.read(newest.id, ends: newest.event.ends, of: target, now: eventLoop.now)
        }
        page.marker = page.marker.map { machine.explain($0, of: target) }
        return page
    }

    private func perform(_ read: MarkerRead) {
        broker.mark(partition, markersOf: read.targets).assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let answer): machine.markers(answer, of: read, now: eventLoop.now)
            case .failure: machine.markersFailed(read, now: eventLoop.now)
            }
            perform()
        }
    }

    private func perform(_ read: FeedRead) {
        let request = read.request
        logReads.read(
            request.target, after: request.after, through: read.through, bytes: request.bytes, isUrgent: true
        ) { [self] outcome in
            machine.received(outcome, of: read, now: eventLoop.now)
            perform()
        }
    }
}

@available(*, unavailable)
extension PartitionFeed: Sendable {}
