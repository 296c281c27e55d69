// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import TestSupport
import Testing

@Suite("A replay")
struct ReplayTests: ReplaysLogs {
    @Test("Two logs come out merged by id, each event once, whatever the pages", arguments: 1...6, [false, true])
    func merge(pageCount: Int, isNarrow: Bool) throws {
        var logs = [try #require(Self.a): Log(), try #require(Self.b): Log()]
        var expected: [Out] = []
        for number in 1...40 as ClosedRange<UInt64> {
            logs[number % 3 == 0 ? try #require(Self.b) : try #require(Self.a)]?.append(Self.id(number))
            if number > 5, number <= 30 { expected.append(.event(Self.id(number))) }
        }
        let out = run(logs, after: Self.id(5), through: Self.id(30), pageCount: pageCount, isNarrow: isNarrow)
        #expect(out == expected)
    }

    @Test("What a later event of its key has made superfluous is left out, and nothing is taken for lost")
    func superseded() throws {
        let a = try #require(Self.a)
        var log = Log()
        for number in 1...6 as ClosedRange<UInt64> { log.append(Self.id(number)) }
        var replay = Replay(
            targets: [a], from: .available, through: Self.id(9), born: Self.born, bytesMax: 1 << 20)
        guard case .read = replay.next() else { return #expect(Bool(false), "nothing is asked for") }
        var slice = log.slice(after: .zero, count: 10)
        slice.superseded = [true, true, false, true, true, false]
        replay.received(slice, lane: 0)
        var ids: [EventID] = []
        while case .event(let entry, _, _) = replay.next() { ids.append(entry.id) }
        #expect(ids == [Self.id(3), Self.id(6)])
        guard case .done = replay.next() else { return #expect(Bool(false), "something is taken for lost") }
    }

    @Test("It holds no more than it may, and the one slice whose turn it is, however large entries are")
    func bounded() throws {
        let targets = try (0..<50).map { try Target.topic("t\($0)") }
        let data = ByteBuffer(repeating: 0x61, count: 60_000)
        var logs: [Target: [LogEntry]] = [:]
        for number in 0..<200 {
            let target = targets[number % 50]
            logs[target, default: []].append(
                LogEntry(
                    id: Self.id(UInt64(number)), previous: logs[target]?.last?.id, event: Event(data)))
        }
        var replay = Replay(
            targets: targets, from: .earliest, through: Self.id(999), born: Self.born, bytesMax: 256 << 10)
        var ids: [EventID] = []
        var peak = 0
        steps: while true {
            switch replay.next() {
            case .read(let requests):
                for request in requests {
                    let rest = logs[request.target, default: []].filter { $0.id > request.after }
                    let count = max(1, request.bytes / 60_000)
                    let page = LogPage(marker: nil, entries: Array(rest.prefix(count)), isLast: rest.count <= count)
                    replay.received(
                        LogSlice(LogSegment(page, after: request.after), isLast: page.isLast), lane: request.lane)
                    peak = max(peak, replay.heldBytes)
                }
            case .event(let entry, _, _): ids.append(entry.id)
            case .gap(let gap, _): Issue.record("\(gap)")
            case .wait: Issue.record("nothing was being read")
            case .done: break steps
            }
        }
        #expect(ids == (0..<200).map { Self.id($0) })
        #expect(peak <= (256 << 10) + 2 * 65_536 + 1000)
    }

    /// Processor time for each of 8,000 events of so many logs, once they are read.
    private static func cost(logs count: Int) throws -> Double {
        let perLog = 8000 / count
        let targets = try (0..<count).map { try Target.topic("t\($0)") }
        var replay = Replay(
            targets: targets, from: .available, through: id(99_999), born: born, bytesMax: 1 << 30)
        guard case .read(let requests) = replay.next() else { return .infinity }
        for request in requests {
            let entries = (0..<perLog).map { number in
                LogEntry(
                    id: id(UInt64(number * count + request.lane)), previous: nil, event: Event(ByteBuffer()))
            }
            let segment = LogSegment(LogPage(marker: nil, entries: entries, isLast: true), after: request.after)
            replay.received(LogSlice(segment, isLast: true), lane: request.lane)
        }
        var events = 0
        let start = FrameTests.processorTime()
        while case .event = replay.next() { events += 1 }
        let time = FrameTests.processorTime() - start
        #expect(events == perLog * count)
        return time / Double(events)
    }

    @Test("The next event of thousands of logs costs little more than that of a few: not each is looked at")
    func costOfLogs() throws {
        let few = try (0..<3).map { _ in try Self.cost(logs: 4) }.min()
        let many = try (0..<3).map { _ in try Self.cost(logs: 4000) }.min()
        #expect(try #require(many) < 15 * #require(few))
    }

    @Test("At the end of time nothing overflows")
    func endOfTime() throws {
        var log = Log()
        log.append(EventID(.max, 0))
        let a = try #require(Self.a)
        #expect(run([a: Log()], after: EventID(.max - 1, 0), through: .max).isEmpty)
        #expect(run([a: log], after: EventID(.max - 1, 0), through: .max) == [.event(EventID(.max, 0))])
    }

    @Test("A target of which less is known is read from its own earlier id")
    func earlier() throws {
        let a = try #require(Self.a)
        let b = try #require(Self.b)
        var logs = [a: Log(), b: Log()]
        for number in 1...8 as ClosedRange<UInt64> { logs[number.isMultiple(of: 2) ? a : b]?.append(Self.id(number)) }
        var replay = Replay(
            targets: [a, b], from: .after(Self.id(5)), earlier: [b: Self.id(2)], through: Self.id(20), born: Self.born,
            bytesMax: 1 << 20)
        var ids: [EventID] = []
        while true {
            switch replay.next() {
            case .read(let requests):
                for one in requests {
                    replay.received((logs[one.target] ?? Log()).slice(after: one.after, count: 2), lane: one.lane)
                }
                continue
            case .event(let entry, _, _):
                ids.append(entry.id)
                continue
            case .gap(let gap, _):
                Issue.record("\(gap)")
                continue
            case .wait, .done: break
            }
            break
        }
        #expect(ids == [3, 5, 6, 7, 8].map(Self.id))
    }

    @Test("What is beyond the mark is not given out, and its predecessor still tells of a loss")
    func beyondMark() throws {
        let a = try #require(Self.a)
        var log = Log()
        for number in [5, 25] as [UInt64] { log.append(Self.id(number)) }
        log.entries.removeFirst()
        #expect(
            run([a: log], after: Self.id(1), through: Self.id(20))
                == [.gap(from: Self.id(1), to: Self.id(5), ["topic:a"], id: Self.id(5))])
        #expect(run([a: log], after: Self.id(5), through: Self.id(20)).isEmpty)
    }

    @Test(
        "Random logs, trims and cursors: every event is given out once, or a gap covers it, and nothing else is a gap")
    func property() throws {
        var generator = SeededGenerator(seed: 7)
        for round in 0..<2000 {
            var logs: [Target: Log] = [:]
            var published: [Target: [EventID]] = [:]
            let targets = try (0..<3).map { try Target.topic("t\($0)") }
            for target in targets { logs[target] = Log() }
            for number in 1...30 as ClosedRange<UInt64> {
                let target = targets[Int.random(in: 0..<3, using: &generator)]
                logs[target]?.append(Self.id(number))
                published[target, default: []].append(Self.id(number))
            }
            for target in targets {
                let count = logs[target]?.entries.count ?? 0
                logs[target]?.entries.removeFirst(Int.random(in: 0...count, using: &generator))
            }
            let cursor = Self.id(UInt64.random(in: 0...31, using: &generator))
            // A mark before the newest event is one that was read while publishing went on.
            let mark = Self.id(31)
            let out = run(
                logs, after: cursor, through: mark, pageCount: Int.random(in: 1...5, using: &generator),
                isNarrow: Bool.random(using: &generator))
            var given: [EventID] = []
            var gaps: [String: (EventID, EventID)] = [:]
            for one in out {
                switch one {
                case .event(let id): given.append(id)
                case .gap(let from, let to, let names, _):
                    for name in names { gaps[name] = (try #require(from), try #require(to)) }
                }
            }
            #expect(given == given.sorted() && Set(given).count == given.count, "round \(round)")
            for target in targets {
                let left = Set(logs[target]?.entries.map(\.id) ?? [])
                let wanted = (published[target] ?? []).filter { $0 > cursor }
                let lost = wanted.filter { !left.contains($0) }
                #expect(wanted.filter(left.contains).allSatisfy(given.contains), "round \(round)")
                let gap = gaps[target.description]
                #expect((gap == nil) == lost.isEmpty, "round \(round) \(target)")
                if let gap { #expect(lost.allSatisfy { $0 > gap.0 && $0 <= gap.1 }, "round \(round)") }
            }
        }
    }
}
