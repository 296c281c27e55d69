// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOEmbedded
import SluiceCore
import SluiceGateway
import Testing

@Suite("LogReads")
struct LogReadsTests {
    /// What a read brought.
    private final class Result {
        var ids: [EventID] = []
        var superseded: [Bool] = []
        var isLast = false
        var isFailed = false
        var isUnreadable = false
        var segment: LogSegment?
    }

    private let loop = EmbeddedEventLoop()
    private let broker: ScriptedBroker
    private let counters = Counters()
    private let reads: LogReads
    private let topic: Target
    private static let mark = EventID(ScriptedNode.now, 0)

    init() throws {
        broker = ScriptedBroker(eventLoop: loop, partitioning: .single)
        reads = LogReads(broker: broker, eventLoop: loop, counters: counters, cacheBytes: 1 << 20)
        topic = try .topic("t")
    }

    private func fill(_ target: Target, _ count: Int, bytes: Int, key: (Int) -> String? = { _ in nil }) -> [EventID] {
        var previous: EventID?
        let entries = (0..<count).map { number in
            let id = EventID(ScriptedNode.born + UInt64(number), 0)
            defer { previous = id }
            return LogEntry(
                id: id, previous: previous,
                event: Event(ByteBuffer(repeating: 0x61, count: bytes), key: key(number)))
        }
        broker.logs[target] = entries
        return entries.map(\.id)
    }

    private func read(
        _ target: Target, after id: EventID, through mark: EventID = LogReadsTests.mark, bytes: Int = 1 << 20,
        isUrgent: Bool = false, conflates: Bool = false
    ) -> Result {
        let result = Result()
        reads.read(target, after: id, through: mark, bytes: bytes, isUrgent: isUrgent, conflates: conflates) {
            outcome in
            switch outcome {
            case .slice(let slice):
                result.ids = slice.segment.entries[slice.start...].map(\.id)
                result.superseded = Array(slice.superseded?[slice.start...] ?? [])
                result.isLast = slice.isLast
                result.segment = slice.segment
            case .unreadable: result.isUnreadable = true
            case .failed: result.isFailed = true
            }
        }
        return result
    }

    @Test("A hole that becomes known while a log is read is in what its readers get; notices hold nobody up")
    func forgottenMeanwhile() {
        let ids = fill(topic, 3, bytes: 1)
        let hole = Hole(from: ids[2], after: ids[2], upTo: LogReadsTests.mark)
        broker.whileReading = { [reads, broker, topic] in
            broker.markers[topic] = LogMarker(id: ids[2], ends: false, holes: [hole])
            reads.forget(topic)
        }
        let result = read(topic, after: ids[0])
        loop.run()
        #expect(result.segment?.marker?.holes == [hole] && result.ids == Array(ids[1...]) && broker.reads == 2)
    }

    @Test("Those who ask together for the same log are served by one read, and get the same bytes")
    func shared() {
        let ids = fill(topic, 20, bytes: 1)
        let results = ids.map { read(topic, after: $0) }
        loop.run()
        for (index, result) in results.enumerated() { #expect(result.ids == Array(ids[(index + 1)...])) }
        #expect(broker.reads == 1 && counters.logReads.value == 1)
        #expect(results.allSatisfy { $0.segment === results[0].segment })
    }

    @Test("Who comes later gets what was read for others, as long as nothing can have come behind it")
    func cached() {
        let ids = fill(topic, 20, bytes: 1)
        _ = read(topic, after: .zero)
        loop.run()
        let later = read(topic, after: ids[9])
        loop.run()
        #expect(later.ids == Array(ids[10...]) && later.isLast && broker.reads == 1)
        let beyond = read(topic, after: ids[19], through: EventID(ScriptedNode.now + 1, 0))
        loop.run()
        #expect(beyond.isLast && broker.reads == 2, "a later mark needs another look at the end of the log")
        reads.feedIsDown()
        reads.goOn()
        _ = read(topic, after: ids[9])
        loop.run()
        #expect(broker.reads == 3, "another data set may have other events")
    }

    @Test(
        "While nobody knows which data set comes back, only the node's repair reads; what was asked of the old one is no answer"
    )
    func heldBack() {
        let ids = fill(topic, 3, bytes: 1)
        let asked = read(topic, after: .zero)
        reads.feedIsDown()
        loop.run()
        let meanwhile = read(topic, after: .zero)
        let repair = read(topic, after: .zero, isUrgent: true)
        loop.run()
        #expect(asked.isFailed && meanwhile.isFailed && repair.ids == ids && broker.reads == 1)
        reads.goOn()
        let after = read(topic, after: .zero)
        loop.run()
        #expect(after.ids == ids)
    }

    @Test("An answer that was under way when the feed was lost is of the data set that was, and nobody gets it")
    func answerUnderWay() {
        let logs = MemoryBroker(eventLoop: loop, wallClock: { 1_000_000 })
        let recorder = RecordingBroker(logs, answersOn: loop)
        let reads = LogReads(broker: recorder, eventLoop: loop, counters: counters, cacheBytes: 1 << 20)
        _ = logs.publish(Publication(Event(ByteBuffer(string: "x")), to: topic, retention: .init(maxlen: 1, ttl: 60)))
        var outcomes: [String] = []
        func ask() {
            reads.read(topic, after: .zero, through: EventID(1_000_000, 1000), bytes: 4096) { outcome in
                if case .slice = outcome { outcomes.append("slice") } else { outcomes.append("failed") }
            }
            loop.run()
        }
        ask()
        reads.feedIsDown()
        reads.goOn()
        ask()
        loop.advanceTime(by: .milliseconds(1))
        #expect(outcomes == ["failed", "failed"])
        ask()
        loop.advanceTime(by: .milliseconds(1))
        #expect(outcomes == ["failed", "failed", "slice"])
    }

    @Test("What was read of one log stays for who comes later, although another was read since")
    func cachedBesideOthers() throws {
        let other = try Target.topic("u")
        let logs = [topic: fill(topic, 3, bytes: 1), other: fill(other, 3, bytes: 1)]
        for _ in 0..<2 {
            for (target, ids) in logs {
                let result = read(target, after: .zero)
                loop.run()
                #expect(result.ids == ids)
            }
        }
        #expect(broker.reads == 2)
    }

    @Test("Who is far ahead is not kept waiting by one far behind who asks again and again")
    func fair() throws {
        let logs = MemoryBroker(eventLoop: loop, wallClock: { 1_000_000 })
        let reads = LogReads(broker: logs, eventLoop: loop, counters: counters, cacheBytes: 1 << 16)
        let ids = try (0..<400).map { _ in
            let publication = Publication(
                Event(ByteBuffer(repeating: 0x61, count: 1000)), to: topic, retention: .init(maxlen: 1000, ttl: 60))
            return try #require(try logs.publish(publication).wait().id)
        }
        let mark = EventID(1_000_000, 1000)
        var asked = 0
        func askAgain(_ id: EventID) {
            asked += 1
            reads.read(topic, after: id, through: mark, bytes: 2000) { outcome in
                guard case .slice(let slice) = outcome, !slice.isLast else { return }
                askAgain(slice.segment.upTo)
            }
        }
        askAgain(.zero)
        var readsUntilServed = 0
        reads.read(topic, after: ids[350], through: mark, bytes: 2000) { [counters] _ in
            readsUntilServed = counters.logReads.value
        }
        loop.run()
        #expect(asked > 100)
        #expect(readsUntilServed == 2)
    }

    @Test("One command is on its way at a time, and brings no more than its budget, whatever the logs hold")
    func budget() throws {
        let logs = MemoryBroker(eventLoop: loop, wallClock: { 1_000_000 })
        let recorder = RecordingBroker(logs, answersOn: loop)
        let reads = LogReads(broker: recorder, eventLoop: loop, counters: counters, cacheBytes: 1 << 20)
        let targets = try (0..<100).map { try Target.topic("t\($0)") }
        for target in targets {
            for _ in 0..<4 {
                let publication = Publication(
                    Event(ByteBuffer(repeating: 0x61, count: 100_000)), to: target,
                    retention: .init(maxlen: 10, ttl: 60))
                _ = logs.publish(publication)
            }
        }
        var served = 0
        for target in targets {
            reads.read(target, after: .zero, through: EventID(1_000_000, 1000), bytes: 4096) { _ in served += 1 }
            // While the answer to those before is still to come.
            loop.run()
        }
        for _ in 0..<100 where served < 100 { loop.advanceTime(by: .milliseconds(1)) }
        #expect(served == 100 && recorder.underWayMax == 1)
        // A budget of 256 KiB is met by the third entry.
        #expect(recorder.sizes.max() == 300_000 && recorder.sizes.reduce(0, +) == 100 * 100_000)
    }

    @Test("19,000 streams that come back at once read each of 50 logs a few times, however many they are")
    func herd() throws {
        let logs = MemoryBroker(eventLoop: loop, wallClock: { 1_000_000 })
        let recorder = RecordingBroker(logs, answersOn: loop)
        let reads = LogReads(broker: recorder, eventLoop: loop, counters: counters, cacheBytes: 16 << 20)
        let targets = try (0..<50).map { try Target.topic("t\($0)") }
        var ids: [EventID] = []
        for number in 0..<500 {
            let publication = Publication(
                Event(ByteBuffer(repeating: 0x61, count: 200)), to: targets[number % 50],
                retention: .init(maxlen: 100, ttl: 60))
            ids.append(try #require(try logs.publish(publication).wait().id))
        }
        var isDone = 0
        var delivered = 0
        func advance(_ run: Returning) {
            while true {
                switch run.replay.next() {
                case .event: delivered += 1
                case .gap: Issue.record("a gap")
                case .wait: return
                case .done:
                    isDone += 1
                    return
                case .read(let requests):
                    for request in requests {
                        reads.read(request.target, after: request.after, through: run.mark, bytes: request.bytes) {
                            _ = run.replay.received($0, lane: request.lane)
                            advance(run)
                        }
                    }
                    return
                }
            }
        }
        var expected = 0
        for number in 0..<19_000 {
            let second = (number + 1 + number / 50 % 49) % 50
            let own = [targets[number % 50], targets[second]]
            let cursor = number * 13 % 500
            // Readings of the clock come five times meanwhile.
            let mark = EventID(1_000_000, UInt64(1000 + number / 3800))
            let replay = Replay(targets: own, from: .after(ids[cursor]), through: mark, born: 0, bytesMax: 32 << 10)
            // Log t has the events t, t + 50, … of 500: those up to the cursor are not its reader's.
            for first in [number % 50, second] { expected += 10 - (cursor - first + 50) / 50 }
            advance(Returning(replay, through: mark))
            if number % 200 == 0 { loop.advanceTime(by: .milliseconds(1)) }
        }
        for _ in 0..<1000 where isDone < 19_000 { loop.advanceTime(by: .milliseconds(1)) }
        #expect(isDone == 19_000 && delivered == expected)
        print("reads of 50 logs by 19,000 replays:", counters.logReads.value, "in", recorder.sizes.count, "commands")
        #expect(counters.logReads.value <= 50 * 10)
    }

    @Test("A log that can't be read costs nobody else anything, and is named once")
    func unreadable() throws {
        let ids = fill(topic, 3, bytes: 1)
        let bad = try Target.topic("bad")
        broker.unreadable = [bad]
        var named: [Target] = []
        reads.onUnreadable = { target, _ in named.append(target) }
        let result = read(bad, after: .zero)
        let other = read(topic, after: .zero)
        loop.run()
        #expect(result.isUnreadable && other.ids == ids && named == [bad])
    }

    @Test("While the broker is away all who wait are told")
    func away() throws {
        let other = try Target.topic("u")
        broker.failsToRead = true
        let results = [read(topic, after: .zero), read(other, after: .zero)]
        loop.run()
        #expect(results.allSatisfy { $0.isFailed })
    }

    @Test("Who conflates is told what a later event of the same key has made superfluous, from the whole log")
    func conflated() {
        let ids = fill(topic, 10, bytes: 1) { $0 == 4 ? nil : "k\($0 % 3)" }
        let plain = read(topic, after: .zero)
        let result = read(topic, after: .zero, conflates: true)
        let late = read(topic, after: ids[6], conflates: true)
        loop.run()
        #expect(plain.superseded.isEmpty)
        // 7, 8 and 9 are the newest of their keys; 4 has none.
        #expect(result.superseded == (0..<10).map { $0 < 7 && $0 != 4 })
        #expect(late.superseded == [false, false, false])
        #expect(broker.reads == 1)
    }
}

/// One stream that has come back.
private final class Returning {
    var replay: Replay
    let mark: EventID

    init(_ replay: Replay, through mark: EventID) {
        self.replay = replay
        self.mark = mark
    }
}

/// Takes note of how much the reads of another broker bring, and of how many are under way. An answer takes a millisecond.
private final class RecordingBroker: Broker {
    let name = "recording"
    let partitioning = Partitioning.single
    private let other: MemoryBroker
    private let eventLoop: EmbeddedEventLoop
    private(set) var sizes: [Int] = []
    private(set) var underWayMax = 0
    private var underWay = 0

    init(_ other: MemoryBroker, answersOn eventLoop: EmbeddedEventLoop) {
        self.other = other
        self.eventLoop = eventLoop
    }

    func start(tell: @escaping (BrokerNotice) -> Void) {}
    func stop() {}
    func reconnect(_ partition: Partition) {}
    func want(_ target: Target, as number: TargetNumber) -> Bool { true }
    func pause(_ target: Target, for time: TimeAmount) {}
    func release(_ target: Target) {}
    func report(_ partition: Partition, _ report: HeardReport) -> EventLoopFuture<Void> {
        eventLoop.makeSucceededVoidFuture()
    }
    func replicas(_ partition: Partition, wanted: Int) -> EventLoopFuture<Int> { eventLoop.makeSucceededFuture(0) }

    func tick(_ partition: Partition, known: EventID, entry: NodeEntry?) {}
    func mark(_ partition: Partition, markersOf targets: [Target]) -> EventLoopFuture<ClockReading> {
        other.mark(partition, markersOf: targets)
    }
    func refusal(of bytes: Int) -> PublishFailure? { nil }
    func publish(_ publication: Publication) -> EventLoopFuture<Receipt> { other.publish(publication) }
    func order(_ message: ControlMessage) -> EventLoopFuture<Int> { other.order(message) }
    func answer(_ answer: SurveyAnswer, to node: String) {}
    func nodes() -> EventLoopFuture<[String]> { other.nodes() }
    func entry(of node: String) -> EventLoopFuture<NodeEntry?> { other.entry(of: node) }
    func presence(_ call: PresenceCall) -> EventLoopFuture<PresenceReply> {
        eventLoop.makeFailedFuture(PublishFailure.unavailable("none"))
    }
    func leave() -> EventLoopFuture<Void> { other.leave() }

    func read(_ partition: Partition, _ reads: [LogRead], bytes: Int) -> EventLoopFuture<[LogRead.Outcome]> {
        let outcomes = other.read(partition, reads, bytes: bytes)
        outcomes.assumeIsolated().whenSuccess { [self] outcomes in
            sizes.append(
                outcomes.reduce(0) { sum, outcome in
                    guard case .page(let page) = outcome else { return sum }
                    return sum + page.entries.reduce(0) { $0 + $1.event.data.readableBytes }
                })
        }
        underWay += 1
        underWayMax = max(underWayMax, underWay)
        let promise = eventLoop.makePromise(of: [LogRead.Outcome].self)
        eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(1)) { [self] in
            underWay -= 1
            promise.completeWith(outcomes)
        }
        return promise.futureResult
    }
}
