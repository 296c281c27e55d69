// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import TestSupport
import Testing

@Suite("MemoryLogs")
struct MemoryLogsTests {
    private static let start: UInt64 = 1_763_720_000_000
    private static let hour: UInt64 = 3_600_000
    private static let day: UInt64 = 86_400_000

    struct NotPublished: Error {}

    private static func event(_ topic: String, _ change: (inout Publication) -> Void = { _ in }) throws -> Publication {
        var publication = Publication(Event(ByteBuffer(string: "x")), to: try .topic(topic))
        change(&publication)
        return publication
    }

    private static func publish(
        _ logs: inout MemoryLogs, _ publication: Publication, at now: UInt64, nodes: Int = 1
    ) throws -> Envelope {
        guard case .publish(let envelope, let receipt) = logs.publish(publication, nodes: nodes, now: now) else {
            throw NotPublished()
        }
        #expect(receipt == Receipt(id: envelope.id, nodes: nodes))
        return envelope
    }

    @Test("an id is the time, and a later one of the same millisecond has a higher sequence")
    func ids() throws {
        var logs = MemoryLogs(now: MemoryLogsTests.start)
        let ids = try [0, 0, 0, 1, 1, 5].map { offset in
            try MemoryLogsTests.publish(&logs, try MemoryLogsTests.event("a"), at: MemoryLogsTests.start + offset).id
        }
        let expected = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (5, 0)] as [(UInt64, UInt64)]
        #expect(ids == expected.map { EventID(MemoryLogsTests.start + $0.0, $0.1) })
    }

    @Test("ids strictly increase over all topics, even if the time goes back", arguments: 0..<6 as Range<UInt64>)
    func idsIncrease(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var logs = MemoryLogs(now: MemoryLogsTests.start)
        var last = EventID.zero
        for _ in 0..<300 {
            let now = MemoryLogsTests.start + UInt64.random(in: 0...50, using: &generator)
            if Int.random(in: 0..<4, using: &generator) == 0 {
                let reading = logs.tick(now: now)
                #expect(reading >= last)
                #expect(reading == logs.clock)
                last = max(last, reading)
            } else {
                let topic = ["a", "b", "c"].randomElement(using: &generator) ?? "a"
                let id = try #require(try MemoryLogsTests.publish(&logs, try MemoryLogsTests.event(topic), at: now).id)
                #expect(id > last)
                last = id
            }
        }
    }

    @Test("a reading of the clock is the time, and every later event has a later id")
    func tick() throws {
        var logs = MemoryLogs(now: MemoryLogsTests.start)
        #expect(logs.born == MemoryLogsTests.start)
        #expect(logs.tick(now: MemoryLogsTests.start + 5) == EventID(MemoryLogsTests.start + 5, 0))
        #expect(logs.tick(now: MemoryLogsTests.start) == EventID(MemoryLogsTests.start + 5, 0))
        let id = try MemoryLogsTests.publish(&logs, try MemoryLogsTests.event("a"), at: MemoryLogsTests.start).id
        #expect(id == EventID(MemoryLogsTests.start + 5, 1))
    }

    @Test("each event names the one before it in the same log, and only in that")
    func chain() throws {
        var logs = MemoryLogs(now: MemoryLogsTests.start)
        var last: [String: EventID] = [:]
        for (offset, topic) in ["a", "b", "a", "a", "b", "c", "a"].enumerated() {
            let envelope = try MemoryLogsTests.publish(
                &logs, try MemoryLogsTests.event(topic), at: MemoryLogsTests.start + UInt64(offset))
            #expect(envelope.previous == last[topic])
            last[topic] = envelope.id
        }
    }

    @Test("the chain survives the trimming and the end of the log, until the marker's day is over")
    func chainOutlivesLog() throws {
        var logs = MemoryLogs(now: MemoryLogsTests.start)
        let event = try MemoryLogsTests.event("a") { $0.retention?.ttl = 60 }
        let first = try MemoryLogsTests.publish(&logs, event, at: MemoryLogsTests.start)
        let late = MemoryLogsTests.start + MemoryLogsTests.day - 1
        logs.expire(now: late)
        let second = try MemoryLogsTests.publish(&logs, event, at: late)
        #expect(second.previous == first.id)
        let later = late + MemoryLogsTests.day
        logs.expire(now: later)
        #expect(try MemoryLogsTests.publish(&logs, event, at: later).previous == nil)
    }

    @Test("a marker that has expired is forgotten even if nobody swept", arguments: [true, false])
    func expiresWithoutSweep(_ isSwept: Bool) throws {
        var logs = MemoryLogs(now: MemoryLogsTests.start)
        _ = try MemoryLogsTests.publish(&logs, try MemoryLogsTests.event("a"), at: MemoryLogsTests.start)
        let later = MemoryLogsTests.start + MemoryLogsTests.day
        if isSwept { logs.expire(now: later) }
        #expect(try MemoryLogsTests.publish(&logs, try MemoryLogsTests.event("a"), at: later).previous == nil)
    }

    @Test("a log that lives longer than half a day keeps its marker for twice its life")
    func longMarker() throws {
        var logs = MemoryLogs(now: MemoryLogsTests.start)
        let event = try MemoryLogsTests.event("a") { $0.retention?.ttl = 604_800 }
        let first = try MemoryLogsTests.publish(&logs, event, at: MemoryLogsTests.start)
        let late = MemoryLogsTests.start + 14 * MemoryLogsTests.day - 1
        logs.expire(now: late)
        #expect(try MemoryLogsTests.publish(&logs, event, at: late).previous == first.id)
    }

    @Test("a publish with a shorter life does not shorten its log's, nor its marker's")
    func neverShortens() throws {
        var logs = MemoryLogs(now: MemoryLogsTests.start)
        _ = try MemoryLogsTests.publish(
            &logs, try MemoryLogsTests.event("a") { $0.retention?.ttl = 604_800 }, at: MemoryLogsTests.start)
        let second = try MemoryLogsTests.publish(
            &logs, try MemoryLogsTests.event("a") { $0.retention?.ttl = 1 }, at: MemoryLogsTests.start + 1)
        let late = MemoryLogsTests.start + 13 * MemoryLogsTests.day
        logs.expire(now: late)
        #expect(try MemoryLogsTests.publish(&logs, try MemoryLogsTests.event("a"), at: late).previous == second.id)
    }

    @Test("a token publishes once in five minutes, for its own target")
    func once() throws {
        var logs = MemoryLogs(now: MemoryLogsTests.start)
        let event = try MemoryLogsTests.event("a") { $0.once = "token" }
        let first = try MemoryLogsTests.publish(&logs, event, at: MemoryLogsTests.start, nodes: 3)
        let clock = logs.clock
        guard case .repeated(let receipt) = logs.publish(event, nodes: 9, now: MemoryLogsTests.start + 299_999) else {
            Issue.record("published twice")
            return
        }
        #expect(receipt == Receipt(id: first.id, nodes: 3))
        #expect(logs.clock == clock)
        let elsewhere = try MemoryLogsTests.event("b") { $0.once = "token" }
        #expect(try MemoryLogsTests.publish(&logs, elsewhere, at: MemoryLogsTests.start).id != nil)
        let other = try MemoryLogsTests.event("a") { $0.once = "another" }
        #expect(try MemoryLogsTests.publish(&logs, other, at: MemoryLogsTests.start).previous == first.id)
        logs.expire(now: MemoryLogsTests.start + 299_999)
        guard case .repeated = logs.publish(event, nodes: 1, now: MemoryLogsTests.start + 299_999) else {
            Issue.record("swept too early")
            return
        }
        #expect(try MemoryLogsTests.publish(&logs, event, at: MemoryLogsTests.start + 300_000).id != nil)
    }

    @Test("an event without the log has its type and no id, and moves neither clock nor chain; its token holds as well")
    func liveOnly() throws {
        var logs = MemoryLogs(now: MemoryLogsTests.start)
        let first = try MemoryLogsTests.publish(&logs, try MemoryLogsTests.event("a"), at: MemoryLogsTests.start)
        let clock = logs.clock
        let event = try MemoryLogsTests.event("a") {
            $0.retention = nil
            $0.event.type = "price"
            $0.event.key = "k"
            $0.once = "token"
        }
        let live = try MemoryLogsTests.publish(&logs, event, at: MemoryLogsTests.start + 10)
        #expect(live == Envelope(type: "price", key: "k"))
        #expect(logs.clock == clock)
        guard case .repeated(let receipt) = logs.publish(event, nodes: 1, now: MemoryLogsTests.start + 11) else {
            Issue.record("published twice")
            return
        }
        #expect(receipt == Receipt(id: nil, nodes: 1))
        let next = try MemoryLogsTests.publish(&logs, try MemoryLogsTests.event("a"), at: MemoryLogsTests.start + 20)
        #expect(next.previous == first.id)
    }

    @Test("type, key and end mark go out as they came")
    func passesOn() throws {
        var logs = MemoryLogs(now: MemoryLogsTests.start)
        let envelope = try MemoryLogsTests.publish(
            &logs,
            try MemoryLogsTests.event("a") {
                $0.event.type = "price"
                $0.event.key = "k"
                $0.event.ends = true
            }, at: MemoryLogsTests.start)
        #expect(
            envelope == Envelope(id: EventID(MemoryLogsTests.start, 0), type: "price", key: "k", ends: true))
    }

    // MARK: Reading

    @Test("a log keeps the newest of its events, as many as the publish says, and pages through them in order")
    func trims() throws {
        var logs = MemoryLogs(now: MemoryLogsTests.start)
        let target = try Target.topic("a")
        var published: [EventID] = []
        for number in 0..<10 {
            let event = try MemoryLogsTests.event("a") {
                $0.retention?.maxlen = 4
                $0.event.data = ByteBuffer(string: "\(number)")
            }
            published.append(try #require(try MemoryLogsTests.publish(&logs, event, at: MemoryLogsTests.start).id))
        }
        let whole = logs.read(target, after: .zero, bytes: 10_000, now: MemoryLogsTests.start)
        #expect(whole.entries.map(\.id) == Array(published.suffix(4)))
        #expect(whole.entries.map { String(buffer: $0.event.data) } == ["6", "7", "8", "9"])
        #expect(whole.entries.map(\.previous) == Array(published[5...8]))
        #expect(whole.isLast)
        #expect(whole.marker == LogMarker(id: published[9], ends: false))
        let page = logs.read(target, after: published[6], bytes: 140, now: MemoryLogsTests.start)
        #expect(page.entries.map(\.id) == Array(published[7...8]))
        #expect(!page.isLast)
        #expect(logs.read(target, after: published[9], bytes: 140, now: MemoryLogsTests.start).entries.isEmpty)
        let short = try MemoryLogsTests.event("a") { $0.retention?.maxlen = 1 }
        let last = try MemoryLogsTests.publish(&logs, short, at: MemoryLogsTests.start).id
        #expect(logs.read(target, after: .zero, bytes: 10_000, now: MemoryLogsTests.start).entries.map(\.id) == [last])
    }

    @Test(
        "a log ends with its life, counted from its newest event; its marker says what there was",
        arguments: [true, false])
    func logLife(_ isSwept: Bool) throws {
        var logs = MemoryLogs(now: MemoryLogsTests.start)
        let target = try Target.topic("a")
        let event = try MemoryLogsTests.event("a") { $0.retention?.ttl = 60 }
        _ = try MemoryLogsTests.publish(&logs, event, at: MemoryLogsTests.start)
        let second = try MemoryLogsTests.publish(&logs, event, at: MemoryLogsTests.start + 59_999)
        let end = MemoryLogsTests.start + 59_999 + 60_000
        if isSwept { logs.expire(now: end - 1) }
        #expect(logs.read(target, after: .zero, bytes: 10_000, now: end - 1).entries.count == 2)
        if isSwept { logs.expire(now: end) }
        let page = logs.read(target, after: .zero, bytes: 10_000, now: end)
        #expect(page.entries.isEmpty && page.isLast)
        #expect(page.marker?.id == second.id)
        let third = try MemoryLogsTests.publish(&logs, event, at: end)
        #expect(logs.read(target, after: .zero, bytes: 10_000, now: end).entries.map(\.id) == [third.id])
    }

    @Test("an end closes the log's marker, and a later event opens it again")
    func endMark() throws {
        var logs = MemoryLogs(now: MemoryLogsTests.start)
        let target = try Target.topic("a")
        #expect(logs.marker(target, now: MemoryLogsTests.start) == nil)
        let end = try MemoryLogsTests.publish(
            &logs, try MemoryLogsTests.event("a") { $0.event.ends = true }, at: MemoryLogsTests.start)
        let id = try #require(end.id)
        #expect(logs.marker(target, now: MemoryLogsTests.start) == LogMarker(id: id, ends: true))
        let next = try MemoryLogsTests.publish(&logs, try MemoryLogsTests.event("a"), at: MemoryLogsTests.start)
        #expect(next.previous == id)
        #expect(logs.marker(target, now: MemoryLogsTests.start)?.ends == false)
    }
}
