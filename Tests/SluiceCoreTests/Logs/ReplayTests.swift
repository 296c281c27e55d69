// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import TestSupport
import Testing

@Suite("A replay")
struct ReplayTests {
    /// A log as a broker would page it, and what was ever published to it.
    private struct Log {
        var entries: [LogEntry] = []
        var marker: LogMarker?

        mutating func append(_ id: EventID) {
            entries.append(
                LogEntry(
                    id: id, previous: marker?.id, event: Event(ByteBuffer(string: "\(id)"))))
            marker = LogMarker(id: id, ends: false)
        }

        func slice(after id: EventID, count: Int) -> LogSlice {
            let rest = entries.filter { $0.id > id }
            let page = LogPage(marker: marker, entries: Array(rest.prefix(count)), isLast: rest.count < count)
            return LogSlice(LogSegment(page, after: id), isLast: page.isLast)
        }
    }

    private enum Out: Equatable {
        case event(EventID)
        case gap(from: EventID?, to: EventID?, [String], id: EventID?)
    }

    private static let born: UInt64 = 1000
    private static func id(_ milliseconds: UInt64) -> EventID { EventID(10_000 + milliseconds, 0) }
    private static let a = try? Target.topic("a")
    private static let b = try? Target.topic("b")

    /// - Parameter isNarrow: the replay may hold next to nothing, so that its lanes are parked again and again.
    private func run(
        _ logs: [Target: Log], from start: Replay.Start, through mark: EventID, born: UInt64 = ReplayTests.born,
        pageCount: Int = 3, isNarrow: Bool = false, unreadable: Target? = nil
    ) -> [Out] {
        let targets = logs.keys.sorted { $0.description < $1.description }
        var replay = Replay(
            targets: targets, from: start, through: mark, born: born, bytesMax: isNarrow ? 1 : 1 << 20)
        var out: [Out] = []
        var isSecond = false
        for _ in 0..<10_000 {
            switch replay.next() {
            case .read(let requests):
                for request in requests {
                    if request.target == unreadable {
                        replay.unreadable(lane: request.lane)
                        continue
                    }
                    // Every other answer fails, and is asked for again.
                    isSecond.toggle()
                    guard isSecond else {
                        replay.failed(lane: request.lane)
                        continue
                    }
                    replay.received(
                        (logs[request.target] ?? Log()).slice(after: request.after, count: pageCount),
                        lane: request.lane)
                }
            case .event(let entry, _, _): out.append(.event(entry.id))
            case .gap(let gap, let id):
                out.append(.gap(from: gap.from, to: gap.to, gap.targets.map(\.description).sorted(), id: id))
            case .wait: Issue.record("nothing was being read")
            case .done:
                #expect(replay.heldBytes == 0)
                return out
            }
        }
        Issue.record("the replay has no end")
        return out
    }

    private func run(
        _ logs: [Target: Log], after cursor: EventID, through mark: EventID, born: UInt64 = ReplayTests.born,
        pageCount: Int = 3, isNarrow: Bool = false
    ) -> [Out] {
        run(logs, from: .after(cursor), through: mark, born: born, pageCount: pageCount, isNarrow: isNarrow)
    }

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

    @Test("A trimmed log gives a gap up to the newest lost event, and then what is there")
    func trimmed() throws {
        var log = Log()
        for number in 1...10 as ClosedRange<UInt64> { log.append(Self.id(number)) }
        log.entries.removeFirst(7)
        let a = try #require(Self.a)
        #expect(
            run([a: log], after: Self.id(2), through: Self.id(20))
                == [
                    .gap(from: Self.id(2), to: Self.id(7), ["topic:a"], id: Self.id(7)), .event(Self.id(8)),
                    .event(Self.id(9)), .event(Self.id(10)),
                ])
        #expect(run([a: log], after: Self.id(7), through: Self.id(20)).count == 3, "nothing is missing after 7")
        #expect(
            run([a: log], from: .available, through: Self.id(20)) == [8, 9, 10].map { .event(Self.id($0)) },
            "asks for what is there")
    }

    @Test("earliest tells first that the beginning of a log is gone, available does not", arguments: [false, true])
    func beginning(isNarrow: Bool) throws {
        let a = try #require(Self.a)
        let b = try #require(Self.b)
        var trimmed = Log()
        var whole = Log()
        for number in 1...10 as ClosedRange<UInt64> { trimmed.append(Self.id(number * 2)) }
        for number in 1...3 as ClosedRange<UInt64> { whole.append(Self.id(number * 2 + 1)) }
        trimmed.entries.removeFirst(7)
        func run(_ logs: [Target: Log], _ start: Replay.Start) -> [Out] {
            self.run(logs, from: start, through: Self.id(30), isNarrow: isNarrow)
        }
        let there: [Out] = [16, 18, 20].map { .event(Self.id($0)) }
        #expect(
            run([a: trimmed], .earliest) == [.gap(from: nil, to: Self.id(14), ["topic:a"], id: Self.id(14))] + there)
        #expect(run([a: trimmed], .available) == there)
        #expect(
            run([a: trimmed, b: whole], .earliest)
                == [.gap(from: nil, to: Self.id(14), ["topic:a"], id: nil)]
                + [3, 5, 7, 16, 18, 20].map { .event(Self.id($0)) }, "no id, because earlier ones follow")
        #expect(run([b: whole], .earliest) == run([b: whole], .available), "nothing is gone")
        let gone = Log(entries: [], marker: LogMarker(id: Self.id(9), ends: true))
        #expect(run([a: gone], .earliest) == [.gap(from: nil, to: Self.id(9), ["topic:a"], id: Self.id(9))])
        #expect(run([a: gone], .available).isEmpty && run([a: Log()], .earliest).isEmpty)
        trimmed.entries.remove(at: 1)
        #expect(
            run([a: trimmed], .available)
                == [
                    .event(Self.id(16)), .gap(from: Self.id(16), to: Self.id(18), ["topic:a"], id: Self.id(18)),
                    .event(Self.id(20)),
                ], "within the log it has to be whole")
    }

    @Test("A log that can't be read is a gap, and costs the others nothing", arguments: [false, true])
    func unreadable(isNarrow: Bool) throws {
        let a = try #require(Self.a)
        let b = try #require(Self.b)
        var log = Log()
        for number in 1...5 as ClosedRange<UInt64> { log.append(Self.id(number)) }
        for start in [Replay.Start.earliest, .available] {
            #expect(
                run([a: log, b: Log()], from: start, through: Self.id(9), isNarrow: isNarrow, unreadable: b)
                    == [.gap(from: nil, to: Self.id(9), ["topic:b"], id: nil)]
                    + (1...5).map { .event(Self.id($0)) })
        }
        #expect(
            run([a: log, b: Log()], from: .after(Self.id(3)), through: Self.id(9), unreadable: b)
                == [
                    .gap(from: Self.id(3), to: Self.id(9), ["topic:b"], id: nil), .event(Self.id(4)),
                    .event(Self.id(5)),
                ])
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

    @Test(
        "A hole in one log is told before other logs' ids pass its beginning, without an id that would make them go back"
    )
    func gapIsSortedIn() throws {
        var trimmed = Log()
        var whole = Log()
        for number in 1...12 as ClosedRange<UInt64> {
            if number.isMultiple(of: 2) { whole.append(Self.id(number)) } else { trimmed.append(Self.id(number)) }
        }
        trimmed.entries.removeFirst(4)
        let out = run(
            [try #require(Self.a): trimmed, try #require(Self.b): whole], after: Self.id(1), through: Self.id(20))
        #expect(
            out == [
                .gap(from: Self.id(1), to: Self.id(7), ["topic:a"], id: nil),
                .event(Self.id(2)), .event(Self.id(4)), .event(Self.id(6)), .event(Self.id(8)),
                .event(Self.id(9)), .event(Self.id(10)), .event(Self.id(11)), .event(Self.id(12)),
            ])
    }

    @Test("A log that is gone: the marker tells whether something was in it")
    func expired() throws {
        let a = try #require(Self.a)
        let log = Log(entries: [], marker: LogMarker(id: Self.id(9), ends: false))
        #expect(run([a: log], after: Self.id(9), through: Self.id(20)).isEmpty)
        #expect(
            run([a: log], after: Self.id(5), through: Self.id(20))
                == [.gap(from: Self.id(5), to: Self.id(9), ["topic:a"], id: Self.id(9))])
    }

    @Test("A target without log and marker had no event within a day, and is not known before")
    func noMarker() throws {
        let a = try #require(Self.a)
        let day: UInt64 = 86_400_000
        #expect(run([a: Log()], after: Self.id(1), through: Self.id(day)).isEmpty)
        let mark = Self.id(day + 100)
        #expect(
            run([a: Log()], after: Self.id(1), through: mark)
                == [.gap(from: Self.id(1), to: mark, ["topic:a"], id: mark)])
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

    @Test("A data set that began after the cursor has lost what was before: one gap for all targets")
    func reborn() throws {
        var log = Log()
        log.append(Self.id(50))
        let out = run(
            [try #require(Self.a): log, try #require(Self.b): Log()], after: Self.id(1), through: Self.id(60),
            born: Self.id(40).milliseconds)
        #expect(
            out == [
                .gap(from: Self.id(1), to: Self.id(60), ["topic:a", "topic:b"], id: nil), .event(Self.id(50)),
            ])
    }

    @Test("A log of a data set that went back is not whole: earliest tells so where it went back, available does not")
    func wentBack() throws {
        let a = try #require(Self.a)
        var log = Log()
        for number in [1, 2, 50] as [UInt64] { log.append(Self.id(number)) }
        let born = Self.id(40)
        let gap = Out.gap(from: Self.id(2), to: born, ["topic:a"], id: born)
        let (before, after) = ([Out.event(Self.id(1)), .event(Self.id(2))], Out.event(Self.id(50)))
        let mark = Self.id(60)
        #expect(run([a: log], from: .earliest, through: mark, born: born.milliseconds) == before + [gap, after])
        #expect(run([a: log], from: .available, through: mark, born: born.milliseconds) == before + [after])
        #expect(run([a: log], from: .earliest, through: mark, born: Self.id(1).milliseconds) == before + [after])
        var rest = Log()
        for number in [1, 2] as [UInt64] { rest.append(Self.id(number)) }
        #expect(run([a: rest], from: .earliest, through: mark, born: born.milliseconds) == before + [gap])
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
