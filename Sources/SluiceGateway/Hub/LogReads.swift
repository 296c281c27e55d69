// SPDX-License-Identifier: Apache-2.0
import DequeModule
import NIOCore
import SluiceCore

/// Reads the logs of one partition for all who replay: the node's repair and its streams.
///
/// One command at a time is on its way to the broker, and its answer is bounded in bytes, so that neither publishes nor
/// ticks wait behind replays. Whoever needs what was just read for somebody else gets the same bytes. Logs take turns.
/// Lives on the hub's loop.
package final class LogReads {
    package typealias Outcome = Replay.Outcome

    private struct Waiting {
        let after: EventID
        let mark: EventID
        let bytes: Int
        let conflates: Bool
        let isUrgent: Bool
        let deliver: (Outcome) -> Void
        /// A piece was read that has nothing for it.
        var wasPassedOver = false
    }

    /// What one answer of the broker may bring in data.
    private static let bytesPerRead = 256 << 10
    /// Logs in one command.
    private static let logsPerRead = 128
    /// What is remembered of the keys of logs, in bytes.
    private static let keyBytesMax = 8 << 20

    private let partition: Partition
    private let broker: any Broker
    private let eventLoop: any EventLoop
    private let counters: Counters
    private var cache: LogCache
    private var waiting: [Target: [Waiting]] = [:]
    /// Logs for which somebody waits, in the order in which they are looked at.
    private var queue: Deque<Target> = []
    private var queued: Set<Target> = []
    private var answered: [(Waiting, Outcome)] = []
    private var isReading = false
    private var isTurnScheduled = false
    /// The feed is away, and which data set comes back is not known: only the node's repair reads.
    private(set) var isHeldBack = false
    /// Answers to what was asked before the feed was lost are of the data set that was.
    private var epoch = 0
    /// A reading of the clock: what is read from now on has everything up to it.
    private var clock = EventID.zero
    /// Logs of which a hole has become known while they were read: the answer that is under way does not show it.
    private var forgotten: Set<Target> = []
    /// The last answer about these was thrown away for that. The next one is used: whoever may publish must not keep others from
    /// reading.
    private var refused: Set<Target> = []
    private var keys: [Target: LogKeys] = [:]
    private var keyBytes = 0
    /// Is told the name of a log that can't be read, and why.
    package var onUnreadable: (Target, String) -> Void = { _, _ in }
    /// Is shown what was read of a log, and says what is known of its holes.
    var onRead: (LogPage, Target) -> LogPage = { page, _ in page }

    /// - Parameter cacheBytes: what is kept of what was read.
    package init(
        _ partition: Partition = .first, broker: any Broker, eventLoop: any EventLoop, counters: Counters,
        cacheBytes: Int
    ) {
        self.partition = partition
        self.broker = broker
        self.eventLoop = eventLoop
        self.counters = counters
        cache = LogCache(bytesMax: cacheBytes)
    }

    /// Reads a piece of a log, for a reader that goes on to `mark`.
    ///
    /// - Parameters:
    ///   - isUrgent: for the node's repair, for which all streams wait.
    ///   - conflates: the slice tells which of its entries have a later one of the same key.
    ///   - deliver: is called once, not during this call.
    package func read(
        _ target: Target, after id: EventID, through mark: EventID, bytes: Int, isUrgent: Bool = false,
        conflates: Bool = false, deliver: @escaping (Outcome) -> Void
    ) {
        let one = Waiting(
            after: id, mark: mark, bytes: bytes, conflates: conflates, isUrgent: isUrgent, deliver: deliver)
        if isHeldBack, !isUrgent {
            answered.append((one, .failed))
            return scheduleTurn()
        }
        clock = max(clock, mark)
        if waiting[target]?.append(one) == nil {
            waiting[target] = [one]
            enqueue(target, isFirst: isUrgent)
        }
        scheduleTurn()
    }

    private func enqueue(_ target: Target, isFirst: Bool = false) {
        guard queued.insert(target).inserted else { return }
        if isFirst { queue.prepend(target) } else { queue.append(target) }
    }

    /// The feed was lost, and the data set that comes back may be another one: streams are answered that nothing could be
    /// read until ``goOn()``.
    package func feedIsDown() {
        isHeldBack = true
        epoch += 1
        for target in Array(waiting.keys) { answer(target) { $0.isUrgent ? nil : .failed } }
        scheduleTurn()
        cache.removeAll()
        refused.removeAll()
        keys.removeAll()
        keyBytes = 0
    }

    /// What the log's marker says has changed.
    package func forget(_ target: Target) {
        cache.remove(target)
        if isReading { forgotten.insert(target) }
    }

    /// The data set that came back is known, to shards as well.
    package func goOn() {
        isHeldBack = false
    }

    /// Not at once: others of this turn of the loop may want the same.
    private func scheduleTurn() {
        guard !isTurnScheduled else { return }
        isTurnScheduled = true
        eventLoop.assumeIsolated().execute { [self] in
            isTurnScheduled = false
            turn()
        }
    }

    private func turn() {
        guard !isReading else { return deliver() }
        var reads: [LogRead] = []
        while reads.count < LogReads.logsPerRead, let target = queue.popFirst() {
            queued.remove(target)
            serve(target)
            if let read = nextRead(of: target) { reads.append(read) }
        }
        if !reads.isEmpty { send(reads) }
        deliver()
    }

    private func send(_ reads: [LogRead]) {
        isReading = true
        forgotten.removeAll()
        counters.logReads.add(reads.count)
        let clock = clock
        let epoch = epoch
        broker.read(partition, reads, bytes: LogReads.bytesPerRead).assumeIsolated().whenComplete { [self] result in
            isReading = false
            switch result {
            case .success(let outcomes) where epoch == self.epoch: received(outcomes, of: reads, clock: clock)
            case .success, .failure: for read in reads { answer(read.target) { _ in .failed } }
            }
            scheduleTurn()
            deliver()
        }
    }

    /// From the earliest place that somebody waits for, because that serves most; but who was passed over comes first,
    /// or those far behind would keep others waiting for as long as they read.
    private func nextRead(of target: Target) -> LogRead? {
        guard let list = waiting[target] else { return nil }
        let positions = list.map { position($0, target) }
        let passedOver = list.firstIndex(where: \.wasPassedOver).map { positions[$0] }
        guard let after = passedOver ?? positions.min() else { return nil }
        return LogRead(target, after: after, bytes: list.reduce(0) { max($0, $1.bytes) })
    }

    private func received(_ outcomes: [LogRead.Outcome], of reads: [LogRead], clock: EventID) {
        for (read, outcome) in zip(reads, outcomes) {
            switch outcome {
            case .page
            where forgotten.contains(read.target) && waiting[read.target] != nil
                && refused.insert(read.target).inserted:
                enqueue(read.target)
                continue
            case .page(let page):
                refused.remove(read.target)
                let segment = LogSegment(onRead(page, read.target), after: read.after)
                counters.eventsInvalid.add(segment.repairedCount)
                cache.insert(segment, of: read.target, coveredUpTo: clock, now: eventLoop.now)
                serve(read.target)
                if forgotten.contains(read.target) { cache.remove(read.target) }
            case .unreadable(let reason):
                onUnreadable(read.target, reason)
                answer(read.target) { _ in .unreadable }
            }
            guard let list = waiting[read.target] else { continue }
            for index in list.indices { waiting[read.target]?[index].wasPassedOver = true }
            enqueue(read.target)
        }
        // What the answer had no room for is next.
        for read in reads.dropFirst(outcomes.count).reversed() { enqueue(read.target, isFirst: true) }
    }

    /// Answers those for whom the cache has what they need.
    private func serve(_ target: Target) {
        answer(target) { [self] one in
            if one.conflates, !learnKeys(of: target, for: one) { return nil }
            guard var slice = cache.slice(of: target, after: one.after, through: one.mark, now: eventLoop.now)
            else { return nil }
            if one.conflates { slice.superseded = keys[target]?.superseded(in: slice.segment) }
            return .slice(slice)
        }
    }

    /// Answers those who wait for a log and for whom there is an outcome.
    private func answer(_ target: Target, with outcome: (Waiting) -> Outcome?) {
        guard let list = waiting.removeValue(forKey: target) else { return }
        let rest = list.filter { one in
            guard let outcome = outcome(one) else { return true }
            answered.append((one, outcome))
            return false
        }
        if !rest.isEmpty { waiting[target] = rest }
    }

    /// Last, because whoever is answered may ask for more.
    private func deliver() {
        let due = answered
        answered.removeAll(keepingCapacity: true)
        for (one, outcome) in due { one.deliver(outcome) }
    }

    // MARK: Keys

    /// Where to read for one who waits: first all keys up to its mark, if it conflates.
    private func position(_ one: Waiting, _ target: Target) -> EventID {
        guard one.conflates, let keys = keys[target], keys.coveredUpTo < one.mark else { return one.after }
        return keys.upTo
    }

    /// - Returns: whether all keys of the log are known up to the reader's mark.
    private func learnKeys(of target: Target, for one: Waiting) -> Bool {
        var known = keys.removeValue(forKey: target) ?? LogKeys(after: one.after)
        keyBytes -= known.size
        if known.after > one.after { known = LogKeys(after: one.after) }
        while known.coveredUpTo < one.mark,
            let slice = cache.slice(of: target, after: known.upTo, through: one.mark, now: eventLoop.now)
        {
            let before = known.upTo
            known.note(slice, coveredUpTo: one.mark)
            if known.upTo == before { break }
        }
        keyBytes += known.size
        if keyBytes > LogReads.keyBytesMax {
            keys.removeAll()
            keyBytes = known.size
        }
        keys[target] = known
        return known.coveredUpTo >= one.mark
    }
}

@available(*, unavailable)
extension LogReads: Sendable {}
