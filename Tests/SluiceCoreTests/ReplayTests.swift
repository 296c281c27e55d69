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
                    id: id, previous: marker?.id, type: nil, key: nil, ends: false, data: ByteBuffer(string: "\(id)")))
            marker = LogMarker(id: id, ends: false)
        }

        func page(after id: EventID, count: Int) -> LogPage {
            let rest = entries.filter { $0.id > id }
            return LogPage(marker: marker, entries: Array(rest.prefix(count)), isLast: rest.count < count)
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

    private func run(
        _ logs: [Target: Log], after cursor: EventID?, through mark: EventID, born: UInt64 = ReplayTests.born,
        pageCount: Int = 3, forgetting: Bool = false
    ) -> [Out] {
        let targets = logs.keys.sorted { $0.description < $1.description }
        var replay = Replay(targets: targets, after: cursor, through: mark, born: born)
        var out: [Out] = []
        for step in 0..<10_000 {
            switch replay.next() {
            case .read(let requests):
                for request in requests {
                    let page = (logs[request.target] ?? Log()).page(after: request.after, count: pageCount)
                    replay.received(page, lane: request.lane)
                }
            case .event(let entry, _): out.append(.event(entry.id))
            case .gap(let gap, let id):
                out.append(.gap(from: gap.from, to: gap.to, gap.targets.map(\.description).sorted(), id: id))
            case .wait: Issue.record("nothing was being read")
            case .done: return out
            }
            if forgetting, step.isMultiple(of: 3) { replay.forgetPages() }
        }
        Issue.record("the replay has no end")
        return out
    }

    @Test("Two logs come out merged by id, each event once, whatever the pages", arguments: 1...6, [false, true])
    func merge(pageCount: Int, forgetting: Bool) throws {
        var logs = [try #require(Self.a): Log(), try #require(Self.b): Log()]
        var expected: [Out] = []
        for number in 1...40 as ClosedRange<UInt64> {
            logs[number % 3 == 0 ? try #require(Self.b) : try #require(Self.a)]?.append(Self.id(number))
            if number > 5, number <= 30 { expected.append(.event(Self.id(number))) }
        }
        let out = run(logs, after: Self.id(5), through: Self.id(30), pageCount: pageCount, forgetting: forgetting)
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
            run([a: log], after: nil, through: Self.id(20)) == [8, 9, 10].map { .event(Self.id($0)) },
            "earliest asks for what is there")
    }

    @Test("earliest has no gap before its first event, also if its pages are forgotten before any of them is given out")
    func earliestForgotten() throws {
        var log = Log()
        for number in 1...10 as ClosedRange<UInt64> { log.append(Self.id(number)) }
        log.entries.removeFirst(7)
        let a = try #require(Self.a)
        #expect(
            run([a: log], after: nil, through: Self.id(20), forgetting: true)
                == [8, 9, 10].map { .event(Self.id($0)) })
        log.entries.remove(at: 1)
        #expect(
            run([a: log], after: nil, through: Self.id(20), forgetting: true)
                == [
                    .event(Self.id(8)), .gap(from: Self.id(8), to: Self.id(9), ["topic:a"], id: Self.id(9)),
                    .event(Self.id(10)),
                ], "within the log it has to be whole")
    }

    @Test("At the end of time nothing overflows")
    func endOfTime() throws {
        var log = Log()
        log.append(EventID(.max, 0))
        let a = try #require(Self.a)
        #expect(run([a: Log()], after: EventID(.max - 1, 0), through: .max).isEmpty)
        #expect(run([a: log], after: EventID(.max - 1, 0), through: .max) == [.event(EventID(.max, 0))])
    }

    @Test("A gap in one log does not make another log's ids go back")
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
                .event(Self.id(2)), .event(Self.id(4)), .event(Self.id(6)),
                .gap(from: Self.id(1), to: Self.id(7), ["topic:a"], id: Self.id(7)), .event(Self.id(8)),
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
            targets: [a, b], after: Self.id(5), earlier: [b: Self.id(2)], through: Self.id(20), born: Self.born)
        var ids: [EventID] = []
        while true {
            switch replay.next() {
            case .read(let requests):
                for one in requests {
                    replay.received(
                        logs[one.target]?.page(after: one.after, count: 2)
                            ?? LogPage(marker: nil, entries: [], isLast: true), lane: one.lane)
                }
                continue
            case .event(let entry, _):
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
                forgetting: Bool.random(using: &generator))
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
