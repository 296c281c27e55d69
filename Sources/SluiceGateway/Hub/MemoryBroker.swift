// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// A complete single-node gateway's broker: what Redis would do, in this process.
package final class MemoryBroker: Broker {
    /// How long a target that nobody listens to any more stays: browsers come back after a blink.
    private static let linger = TimeAmount.seconds(5)

    private let eventLoop: any EventLoop
    private let wallClock: @Sendable () -> UInt64
    private var logs: MemoryLogs
    private var numbers: [Target: TargetNumber] = [:]
    private var unwanted: Set<Target> = []
    private var tell: (BrokerNotice) -> Void = { _ in }
    private var expiry: RepeatedTask?
    private var isFlushScheduled = false

    package let name = "memory"
    package let partitioning = Partitioning.single

    /// - Parameter wallClock: milliseconds since 1970.
    package init(eventLoop: any EventLoop, wallClock: @escaping @Sendable () -> UInt64) {
        self.eventLoop = eventLoop
        self.wallClock = wallClock
        self.logs = MemoryLogs(now: wallClock())
    }

    package func start(tell: @escaping (BrokerNotice) -> Void) {
        self.tell = tell
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        expiry = eventLoop.scheduleRepeatedTask(initialDelay: .seconds(10), delay: .seconds(10)) { _ in
            let broker = bound.value
            broker.logs.expire(now: broker.wallClock())
        }
        tell(.up())
    }

    package func stop() {
        expiry?.cancel()
    }

    package func reconnect(_ partition: Partition) {}

    package func want(_ target: Target, as number: TargetNumber) -> Bool {
        numbers[target] = number
        unwanted.remove(target)
        return true
    }

    package func release(_ target: Target) {
        unwanted.insert(target)
        eventLoop.assumeIsolated().scheduleTask(in: MemoryBroker.linger) { [self] in
            guard unwanted.remove(target) != nil else { return }
            numbers[target] = nil
            tell(.gone(target))
        }
    }

    /// Whoever publishes here waits for each event: there is nothing that could pile up.
    package func pause(_ target: Target, for time: TimeAmount) {}

    package func mark(_ partition: Partition, markersOf targets: [Target]) -> EventLoopFuture<ClockReading> {
        let now = wallClock()
        return eventLoop.makeSucceededFuture(
            ClockReading(
                clock: logs.tick(now: now), born: logs.born, markers: targets.map { logs.marker($0, now: now) }))
    }

    package func read(_ partition: Partition, _ reads: [LogRead], bytes: Int) -> EventLoopFuture<[LogRead.Outcome]> {
        let now = wallClock()
        var left = bytes
        var outcomes: [LogRead.Outcome] = []
        for read in reads where left > 0 {
            let page = logs.read(read.target, after: read.after, bytes: min(read.bytes, left), now: now)
            left -= page.entries.reduce(0) { $0 + $1.event.data.readableBytes }
            outcomes.append(.page(page))
        }
        return eventLoop.makeSucceededFuture(outcomes)
    }

    package func refusal(of bytes: Int) -> PublishFailure? { nil }

    package func publish(_ publication: Publication) -> EventLoopFuture<Receipt> {
        let number = numbers[publication.target]
        switch logs.publish(
            publication, nodes: number == nil || unwanted.contains(publication.target) ? 0 : 1, now: wallClock())
        {
        case .repeated(let receipt):
            return eventLoop.makeSucceededFuture(receipt)
        case .publish(let envelope, let receipt):
            if let number {
                publication.event.data.withUnsafeReadableBytes { tell(.event(envelope, data: $0, for: number)) }
                scheduleFlush()
            }
            return eventLoop.makeSucceededFuture(receipt)
        }
    }

    /// There are none.
    package func replicas(_ partition: Partition, wanted: Int) -> EventLoopFuture<Int> {
        eventLoop.makeSucceededFuture(0)
    }

    package func order(_ message: ControlMessage) -> EventLoopFuture<Int> {
        tell(.ordered(message))
        return eventLoop.makeSucceededFuture(1)
    }

    /// There is no other node that could have asked.
    package func answer(_ answer: SurveyAnswer, to node: String) {}

    /// This node knows itself.
    package func nodes() -> EventLoopFuture<[String]> { eventLoop.makeSucceededFuture([]) }

    package func entry(of node: String) -> EventLoopFuture<NodeEntry?> { eventLoop.makeSucceededFuture(nil) }

    /// A node without Redis tells nobody.
    package func presence(_ call: PresenceCall) -> EventLoopFuture<PresenceReply> {
        eventLoop.makeFailedFuture(PublishFailure.unavailable("there is no Redis"))
    }

    package func leave() -> EventLoopFuture<Void> { eventLoop.makeSucceededVoidFuture() }

    package func report(_ partition: Partition, _ report: HeardReport) -> EventLoopFuture<Void> {
        eventLoop.makeSucceededVoidFuture()
    }

    package func tick(_ partition: Partition, known: EventID, entry: NodeEntry?) {
        tell(.clock(ClockReading(clock: logs.tick(now: wallClock()), born: logs.born)))
    }

    /// What is published in one turn of the loop goes out as one batch.
    private func scheduleFlush() {
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        eventLoop.assumeIsolated().execute { [self] in
            isFlushScheduled = false
            tell(.readComplete)
        }
    }
}
