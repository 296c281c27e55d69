// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import SluiceCore

/// The node's one ordered flow of events: from the broker, encoded once, to every shard.
///
/// Knows which targets the shards listen to, and tells the broker. Lives on one event loop with the broker.
package final class Hub {
    private struct Interest {
        let number: TargetNumber
        var shards: Set<Int> = []
        var isConfirmed: Bool
    }

    /// What a shard is told, in the order of the feed.
    package enum Message: Sendable {
        case batch(Batch)
        /// Every event with an id up to this one has been delivered.
        case clock(EventID)
        case listening(Target, TargetNumber, isConfirmed: Bool)
        case confirmed(Target)
    }

    /// An id this far ahead of the last reading of the clock is forged or broken, in milliseconds.
    private static let futureMax: UInt64 = 60_000
    private static let tickInterval = TimeAmount.seconds(2)

    private let eventLoop: any EventLoop
    private let broker: any Broker
    private let eventBytesMax: Int
    private let counters: Counters
    private let status: NodeStatus
    private let wallClock: @Sendable () -> UInt64
    private let logger: Logger
    private var complaints: Complaints
    private var shards: [Confined<Shard>] = []
    private var interests: [Target: Interest] = [:]
    private var nextNumber: UInt32 = 1
    private var builder = BatchBuilder()
    private var ticker: RepeatedTask?

    package init(
        eventLoop: any EventLoop, broker: any Broker, eventBytesMax: Int, counters: Counters, status: NodeStatus,
        wallClock: @escaping @Sendable () -> UInt64, logger: Logger
    ) {
        self.eventLoop = eventLoop
        self.broker = broker
        self.eventBytesMax = eventBytesMax
        self.counters = counters
        self.status = status
        self.wallClock = wallClock
        self.logger = logger
        self.complaints = Complaints(interval: .minutes(1))
    }

    package func start(shards: [Confined<Shard>]) {
        self.shards = shards
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
        broker.tick(known: builder.clock)
    }

    /// On the shard's own loop at once, so that with one loop an event is written in the turn in which it came.
    private func send(_ message: Message, to shard: Confined<Shard>) {
        if shard.eventLoop.inEventLoop {
            shard.value.receive(message)
        } else {
            shard.run { $0.receive(message) }
        }
    }

    // MARK: Shards

    package func listen(to targets: [Target], shard index: Int) {
        for target in targets {
            if interests[target] == nil {
                let number = TargetNumber(nextNumber)
                nextNumber += 1
                interests[target] = Interest(number: number, isConfirmed: false)
            }
            guard var interest = interests[target] else { continue }
            if interest.shards.isEmpty { interest.isConfirmed = broker.want(target, as: interest.number) }
            interest.shards.insert(index)
            interests[target] = interest
            send(.listening(target, interest.number, isConfirmed: interest.isConfirmed), to: shards[index])
        }
    }

    package func unlisten(to target: Target, shard index: Int) {
        guard interests[target]?.shards.remove(index) != nil else { return }
        if interests[target]?.shards.isEmpty == true { broker.release(target) }
    }

    package func mark() -> EventLoopFuture<EventID> {
        broker.mark()
    }

    package func publish(_ publication: Publication) -> EventLoopFuture<Receipt> {
        counters.eventsPublished.add(1)
        return broker.publish(publication)
    }

    // MARK: Broker

    package func confirmed(_ target: Target) {
        guard interests[target] != nil else { return }
        interests[target]?.isConfirmed = true
        for index in interests[target]?.shards ?? [] { send(.confirmed(target), to: shards[index]) }
    }

    /// Nothing of this target arrives any more.
    package func gone(_ target: Target) {
        if interests[target]?.shards.isEmpty == true { interests[target] = nil }
    }

    package func feedIsUp() {
        status.feedIsUp()
    }

    package func feedIsDown() {
        status.feedIsDown()
        for target in interests.keys { interests[target]?.isConfirmed = false }
    }

    /// A message as it came from a channel.
    package func receive(_ payload: UnsafeRawBufferPointer, for number: TargetNumber) {
        do {
            let envelope = try Envelope(decoding: payload)
            receive(envelope, data: UnsafeRawBufferPointer(rebasing: payload[envelope.dataOffset...]), for: number)
        } catch {
            counters.eventsMalformed.add(1)
            complain("an envelope that does not parse was dropped", number, ["problem": "\(error)"])
        }
    }

    package func receive(_ envelope: Envelope, data: UnsafeRawBufferPointer, for number: TargetNumber) {
        counters.eventsReceived.add(1)
        guard data.count <= eventBytesMax else {
            counters.eventsOversized.add(1)
            return complain("an event over --max-event was dropped", number, ["bytes": "\(data.count)"])
        }
        if let id = envelope.id, id.milliseconds > max(wallClock(), builder.clock.milliseconds) + Hub.futureMax {
            counters.eventsMalformed.add(1)
            return complain("an event with an id from the future was dropped", number, ["id": "\(id)"])
        }
        if builder.append(envelope, data: data, target: number) { counters.eventsRepaired.add(1) }
    }

    /// A reading of the clock that came through the feed: every earlier event has come before it.
    package func receive(clock: EventID) {
        flush()
        builder.raise(clock: clock)
        for shard in shards { send(.clock(clock), to: shard) }
    }

    /// Hands what has come to the shards.
    package func flush() {
        guard let batch = builder.finish() else { return }
        for shard in shards { send(.batch(batch), to: shard) }
    }

    /// Once a minute for each kind of complaint: a bad publisher must not fill the log.
    private func complain(_ message: String, _ number: TargetNumber, _ details: Logger.Metadata) {
        guard complaints.isDue(message, now: .now()) else { return }
        let target = interests.first { $0.value.number == number }?.key
        logger.warning(
            "\(message)", metadata: details.merging(["target": "\(target?.description ?? "?")"]) { old, _ in old })
    }
}

@available(*, unavailable)
extension Hub: Sendable {}
