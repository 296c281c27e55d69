// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import Testing

@Suite("The gaps of a replay")
struct ReplayGapTests: ReplaysLogs {
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

    /// Events 1 and 2; 30 is lost; 50 was published by somebody who took no notice of it.
    private static func holed(_ holes: [Hole] = [Hole(from: id(2), after: id(5), upTo: id(30))]) -> Log {
        var log = Log()
        for number in [1, 2, 50] as [UInt64] { log.append(id(number)) }
        log.marker = LogMarker(id: id(50), ends: false, holes: holes)
        return log
    }

    @Test(
        "What a data set that went back lacks is told to whoever lacks it, before what follows; to nobody else",
        arguments: [1, 3], [false, true])
    func holes(pageCount: Int, isNarrow: Bool) throws {
        let a = try #require(Self.a)
        func run(_ start: Replay.Start) -> [Out] {
            self.run([a: Self.holed()], from: start, through: Self.id(60), pageCount: pageCount, isNarrow: isNarrow)
        }
        let gap = Out.gap(from: Self.id(2), to: Self.id(30), ["topic:a"], id: Self.id(30))
        let (before, after) = ([Out.event(Self.id(1)), .event(Self.id(2))], Out.event(Self.id(50)))
        #expect(run(.after(Self.id(1))) == [.event(Self.id(2)), gap, after])
        #expect(run(.after(Self.id(2))) == [gap, after])
        #expect(run(.after(Self.id(20))) == [gap, after], "from the last event that is certain")
        #expect(run(.after(Self.id(30))) == [after] && run(.after(Self.id(40))) == [after])
        #expect(run(.earliest) == before + [gap, after] && run(.available) == before + [gap, after])
    }

    @Test("A hole at the end of a log is told, also of a log that is gone; one behind the mark is not")
    func holeAtEnd() throws {
        let a = try #require(Self.a)
        var log = Self.holed([Hole(from: Self.id(50), after: Self.id(51), upTo: Self.id(55))])
        let gap = Out.gap(from: Self.id(50), to: Self.id(55), ["topic:a"], id: Self.id(55))
        #expect(run([a: log], after: Self.id(50), through: Self.id(60)) == [gap])
        #expect(run([a: log], after: Self.id(1), through: Self.id(50)) == [2, 50].map { .event(Self.id($0)) })
        #expect(
            run([a: log], after: Self.id(1), through: Self.id(51)) == [2, 50].map { .event(Self.id($0)) },
            "what is lost is behind the mark, for the feed to tell")
        log.entries = []
        #expect(run([a: log], after: Self.id(50), through: Self.id(60)) == [gap])
        #expect(run([a: log], after: Self.id(55), through: Self.id(60)).isEmpty)
    }

    @Test("A hole of which it is known what it lacks is told to whoever reads past something of that")
    func knownHole() throws {
        let a = try #require(Self.a)
        for (ids, isTold) in [([], true), ([10, 30], false), ([10, 26, 30], true)] as [([UInt64], Bool)] {
            var hole = Hole(from: Self.id(2), after: Self.id(5), upTo: Self.id(30))
            hole.ids = ids.map(Self.id)
            let out = run([a: Self.holed([hole])], after: Self.id(20), through: Self.id(27))
            let gap = Out.gap(from: Self.id(2), to: Self.id(27), ["topic:a"], id: Self.id(27))
            #expect(out == (isTold ? [gap] : []), "\(ids)")
        }
    }

    @Test("What had come before the reader, and no log has, it lacks also behind the mark", arguments: [1, 3])
    func beforeReader(pageCount: Int) throws {
        let a = try #require(Self.a)
        let log = Self.holed([Hole(from: Self.id(50), after: Self.id(61), upTo: Self.id(62))])
        func run(_ log: Log, newest: UInt64) -> [Out] {
            self.run(
                [a: log], from: .after(Self.id(20)), through: Self.id(60), newest: Self.id(newest),
                pageCount: pageCount)
        }
        let (event, gap) = (Out.event(Self.id(50)), Out.gap(from: Self.id(50), to: Self.id(62), ["topic:a"], id: nil))
        #expect(run(log, newest: 61) == [event] && run(log, newest: 62) == [event, gap])
        // Something is behind the mark, and before the hole.
        var longer = log
        longer.append(Self.id(61))
        longer.marker = LogMarker(id: Self.id(61), ends: false, holes: log.marker?.holes ?? [])
        #expect(run(longer, newest: 62) == [event, gap])
    }

    @Test("Two holes with nothing between them are one gap, from where the one begins that begins earlier")
    func twoHoles() throws {
        let a = try #require(Self.a)
        var log = Log()
        for number in [3, 6, 10] as [UInt64] { log.append(Self.id(number)) }
        let holes = [(6, 7), (4, 9)].map { (after: UInt64, upTo: UInt64) in
            Hole(from: Self.id(after == 6 ? 6 : 3), after: Self.id(after), upTo: Self.id(upTo))
        }
        log.marker = LogMarker(id: Self.id(10), ends: false, holes: holes)
        #expect(
            run([a: log], after: Self.id(6), through: Self.id(20))
                == [.gap(from: Self.id(3), to: Self.id(9), ["topic:a"], id: Self.id(9)), .event(Self.id(10))])
    }
}
