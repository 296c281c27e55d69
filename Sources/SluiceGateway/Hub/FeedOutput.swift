// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import SluiceCore

/// What the feeds of all partitions have for the shards: encoded once, in the one order of the node.
///
/// Lives on the hub's loop.
final class FeedOutput {
    /// What repairs bring goes out in batches of this size.
    private static let batchBytes = 64 * 1024

    let counters: Counters
    private let eventLoop: any EventLoop
    private let logger: Logger
    private var complaints = Complaints(interval: .minutes(1))
    private var shards: [@Sendable (FeedMessage) -> Void] = []
    private var builder: BatchBuilder
    private var sampler: EventSampler
    /// What repairs have brought waits in the builder.
    private var isFlushDue = false
    /// When the first message since the last flush came.
    private var readTime: NIODeadline?

    /// - Parameter sampling: one in so many events is in the log; 0: none.
    init(partitions: Int, sampling: Int, eventLoop: any EventLoop, counters: Counters, logger: Logger) {
        builder = BatchBuilder(partitions: partitions)
        sampler = EventSampler(interval: sampling, now: eventLoop.now)
        self.eventLoop = eventLoop
        self.counters = counters
        self.logger = logger
    }

    func start(shards: [@Sendable (FeedMessage) -> Void]) {
        self.shards = shards
    }

    /// The time, which is looked at once for everything that comes at once.
    func now() -> NIODeadline {
        let now = readTime ?? eventLoop.now
        readTime = now
        return now
    }

    // MARK: Messages

    var shardCount: Int { shards.count }

    /// After everything that has come before.
    func sendToAll(_ message: FeedMessage) {
        flush()
        for shard in shards { shard(message) }
    }

    /// At once.
    func send(_ message: FeedMessage, to shard: Int) {
        shards[shard](message)
    }

    /// Hands what has come to the shards.
    func flush() {
        readTime = nil
        isFlushDue = false
        guard let batch = builder.finish() else { return }
        for shard in shards { shard(.batch(batch)) }
    }

    /// What repairs have brought goes out with the last of it.
    func flushIfDue() {
        if isFlushDue { flush() }
    }

    // MARK: Events

    func append(_ envelope: borrowing Envelope, data: UnsafeRawBufferPointer, for number: TargetNumber) {
        if builder.isDue(before: number) { flush() }
        counters.eventsReceived.add(1)
        if builder.append(envelope, data: data, target: number) { counters.eventsInvalid.add(1) }
        if sampler.isOn, sampler.takes(envelope, now: now()) { builder.sample(trace: envelope.trace) }
    }

    /// An event that a repair held back, or has read from a log: in batches, because there may be many.
    func appendRepaired(_ envelope: borrowing Envelope, data: UnsafeRawBufferPointer, for number: TargetNumber) {
        append(envelope, data: data, for: number)
        flushIfMuch()
    }

    func appendRepaired(_ entry: LogSegment.Entry, of segment: LogSegment, for number: TargetNumber) {
        if builder.isDue(before: number) { flush() }
        builder.append(entry, of: segment, target: number)
        flushIfMuch()
    }

    private func flushIfMuch() {
        isFlushDue = true
        if builder.pendingBytes > FeedOutput.batchBytes { flush() }
    }

    /// Everything up to this reading has been received.
    func raise(clock reading: EventID, of partition: Partition) {
        builder.raise(clock: reading, of: partition)
    }

    // MARK: Complaints

    func complain(_ complaint: FeedComplaint, about target: Target?) {
        switch complaint {
        case .malformed(let problem):
            counters.eventsDropped[.malformed].add(1)
            warn("an envelope that does not parse was dropped", target, ["problem": "\(problem)"])
        case .future(let id):
            counters.eventsDropped[.future].add(1)
            warn("an event with an id from the future was dropped", target, ["id": "\(id)"])
        case .oversized(let bytes):
            counters.eventsReceived.add(1)
            counters.eventsDropped[.oversized].add(1)
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
extension FeedOutput: Sendable {}
