// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import Testing

/// A client whose place a former master gave out may lack what its successor had given out before.
@Suite("A stream whose client was told its place by a former master")
struct StreamRivalTests {
    private typealias Tables = StreamTables

    private static let names = [Tables.a].compactMap(\.self)
    private static let gap = Gap(from: Tables.id(3), to: Tables.id(5), targets: names)

    /// The ids of its successor, which began in the second 0.
    private static let mark: UInt64 = 128

    /// Masters that began after these ids, behind the first one.
    private static func lineage(_ began: UInt64...) -> Lineage {
        Lineage([Lineage.Run(0, found: .zero)] + began.map { Lineage.Run($0 * 1000 + 1, found: Tables.id($0)) })
    }

    private static func feed(_ began: UInt64...) -> FeedView {
        var feed = Tables.feed([11])
        _ = feed.learn(began.isEmpty ? lineage() : lineage(began[0]))
        return feed
    }

    /// It came with a cursor, from before what the ring has, or from what it has.
    private static func begun(
        _ cursor: UInt64, mark: UInt64 = 0, _ feed: FeedView, isLive: Bool = false
    ) -> StreamMachine {
        let place = EventID(cursor, mark)
        var machine = Tables.begun(.after(Cursor(place)), feed, Tables.targets(since: isLive ? 1 : 8))
        if isLive {
            machine.read(upTo: 1)
            while case .checkpoint = next(&machine, feed) {}
        }
        return machine
    }

    private static func next(_ machine: inout StreamMachine, _ feed: FeedView) -> StreamMachine.NextAction {
        machine.next(feed, targets: StreamTargets(), now: Tables.start)
    }

    /// All that its logs bring, if they have these events.
    private static func told(
        _ machine: inout StreamMachine, _ feed: FeedView, logs ids: [UInt64], marker: LogMarker? = nil
    ) -> (after: [EventID], text: [String]) {
        var after: [EventID] = []
        var text: [String] = []
        while machine.replays > 0 {
            switch next(&machine, feed) {
            case .read(let requests, let run):
                for request in requests {
                    after.append(request.after)
                    let entries = ids.map {
                        LogEntry(id: Tables.id($0), previous: nil, event: Event(ByteBuffer(string: "x")))
                    }
                    let segment = LogSegment(LogPage(marker: marker, entries: entries, isLast: true), after: .zero)
                    _ = machine.received(.slice(LogSlice(segment, isLast: true)), lane: request.lane, of: run)
                }
            case .event(let entry, _, _): text.append("\(entry.id)")
            case .gap(let gap, _): text.append(gap == Self.gap ? "gap" : "\(gap)")
            case .flush: machine.replayed(text.count, upTo: .zero, now: Tables.start)
            case .replayed: break
            default: return (after, text + ["?"])
            }
        }
        return (after, text)
    }

    private static let rows: [(cursor: UInt64, mark: UInt64, logs: [UInt64], after: EventID, told: [String])] = [
        (5, 0, [6, 7], Tables.id(3), ["6-0", "7-0"]), (5, 0, [], Tables.id(3), []),
        (5, 0, [4, 6], Tables.id(3), ["gap", "6-0"]), (5, 0, [4, 5, 7], Tables.id(3), ["gap", "7-0"]),
        (5, 0, [3, 6], Tables.id(3), ["6-0"]), (3, 0, [4, 6], Tables.id(3), ["4-0", "6-0"]),
        (5, mark, [4, 6], EventID(5, mark), ["6-0"]), (5, 2 * mark + mark, [4, 6], EventID(5, 3 * mark), ["6-0"]),
    ]

    @Test(
        "is told so with its replay, if its logs have something of that time; not one that has an id of the new one",
        arguments: rows)
    func known(_ row: (cursor: UInt64, mark: UInt64, logs: [UInt64], after: EventID, told: [String])) {
        let feed = Self.feed(3)
        var machine = Self.begun(row.cursor, mark: row.mark, feed)
        let (after, told) = Self.told(&machine, feed, logs: row.logs)
        #expect(after == [row.after] && told == row.told)
    }

    @Test("begins with a reading of the clock where it is not known which master gave out its cursor")
    func asks() {
        var unread = FeedView(ringBytes: 1 << 20)
        unread.read(clock: Tables.id(10))
        _ = unread.learn(born: 1)
        let withoutRuns = Tables.feed()
        for (feed, sequence, isAsked) in [
            (unread, 0, true), (withoutRuns, 0, false), (Self.feed(), 0, false), (Self.feed(), Self.mark, true),
            (Self.feed(3), Self.mark, false), (Self.feed(3), Self.mark + 1, true),
        ] as [(FeedView, UInt64, Bool)] {
            var machine = Tables.confirmed(.after(Cursor(EventID(5, sequence))))
            let action = machine.begin(feed, Tables.targets(), replayBytes: 1, now: Tables.start)
            #expect((action == .askForReading(PartitionSet(.first))) == isAsked)
        }
    }

    @Test(
        "is told so when the node learns of it, if its logs have something of that time, and goes on",
        arguments: [true, false])
    func learned(isLive: Bool) throws {
        for (logs, expected) in [([4, 9], ["gap"]), ([6, 9], [])] as [([UInt64], [String])] {
            var feed = Self.feed()
            var machine = Self.begun(5, feed, isLive: isLive)
            if !isLive, case .read = Self.next(&machine, feed) {}
            var goesOn: [Bool] = []
            for began in [6, 3] as [UInt64] {
                _ = feed.learn(Self.lineage(began))
                goesOn.append(machine.examine(feed, targets: Tables.targets(), replayBytes: 1 << 20))
            }
            #expect(goesOn == [false, true] && machine.replays == 1)
            let (after, told) = Self.told(&machine, feed, logs: logs)
            #expect(after == [Tables.id(3)])
            #expect(told == (isLive ? expected : expected + logs.filter { $0 > 5 && $0 <= 8 }.map { "\($0)-0" }))
            guard isLive else { continue }
            _ = Self.next(&machine, feed)
            let isLiveAgain = machine.isLive
            _ = feed.learn(Self.lineage(2))
            let isAskedAgain = machine.examine(feed, targets: Tables.targets(), replayBytes: 1)
            #expect(isLiveAgain && isAskedAgain == expected.isEmpty, "once told is enough")
        }
        var fresh = Tables.live()
        let goesOn = fresh.examine(Self.feed(1), targets: Tables.targets(), replayBytes: 1)
        #expect(!goesOn)
    }

    @Test("is told so where its logs can't be asked: it may be gone before they can")
    func away() {
        var machine = Self.begun(5, Self.feed(3))
        guard case .read(let requests, let run) = Self.next(&machine, Self.feed(3)) else {
            Issue.record("a replay reads")
            return
        }
        _ = machine.received(.failed, lane: requests[0].lane, of: run)
        guard case .gap(let gap, nil) = Self.next(&machine, Self.feed(3)) else {
            Issue.record("it is told")
            return
        }
        #expect(gap == Self.gap)
        if case .flush = Self.next(&machine, Self.feed(3)) { machine.replayed(1, upTo: .zero, now: Tables.start) }
        machine.askAgain(run)
        let (after, told) = Self.told(&machine, Self.feed(3), logs: [4, 6])
        #expect(after == [Tables.id(3)] && told == ["6-0"])
    }

    @Test("is told so of the successor that reaches back furthest, in whichever order they become known")
    func several() {
        for order in [[3, 4], [4, 3]] as [[UInt64]] {
            var feed = Self.feed()
            var machine = Self.begun(5, feed, isLive: true)
            for began in order {
                _ = feed.learn(Self.lineage(began))
                _ = machine.examine(feed, targets: Tables.targets(), replayBytes: 1)
            }
            #expect(Self.told(&machine, feed, logs: [4]).text == ["gap"])
        }
        var feed = Self.feed()
        _ = feed.learn(Self.lineage(3, 4))
        var known = Self.begun(5, feed)
        #expect(Self.told(&known, feed, logs: [4]).text == ["gap"])
    }

    @Test("is told so after all if that was given out and had not gone out when the data set changed again")
    func unsent() throws {
        for isSent in [false, true] {
            var machine = Self.begun(5, Self.feed(3))
            guard case .read(let requests, let run) = Self.next(&machine, Self.feed(3)) else {
                Issue.record("a replay reads")
                return
            }
            _ = machine.received(.failed, lane: requests[0].lane, of: run)
            guard case .gap = Self.next(&machine, Self.feed(3)), case .flush = Self.next(&machine, Self.feed(3)) else {
                Issue.record("it is told")
                return
            }
            if isSent { machine.replayed(1, upTo: .zero, now: Tables.start) }
            machine.blocked(ringEnd: 1, now: Tables.start)
            _ = machine.wentBack(Self.feed(3), began: Tables.id(5))
            _ = machine.unblocked(now: Tables.start)
            #expect(Self.told(&machine, Self.feed(3), logs: [4, 6]).text == (isSent ? ["6-0"] : ["gap", "6-0"]))
        }
    }

    @Test("is live again once it was told, although its logs can't be read to their end")
    func needless() throws {
        var feed = Self.feed()
        var machine = Self.begun(5, feed, isLive: true)
        _ = feed.learn(Self.lineage(3))
        _ = machine.examine(feed, targets: Tables.targets(), replayBytes: 1)
        guard case .read(let requests, let run) = Self.next(&machine, feed) else {
            Issue.record("a replay reads")
            return
        }
        _ = machine.received(.failed, lane: requests[0].lane, of: run)
        #expect(Self.told(&machine, feed, logs: []).text == ["gap"])
        _ = Self.next(&machine, feed)
        let isLive = machine.isLive
        #expect(isLive)
    }

    @Test("is told of a hole that becomes known after the successor gave it its place, whoever had heard what is lost")
    func passed() throws {
        for (cursor, isTold) in [(5, false), (7, false), (8, true)] as [(UInt64, Bool)] {
            var live = Tables.begun(.after(Cursor(Tables.id(cursor))), Tables.feed(), Tables.targets(since: 1))
            while case .checkpoint = live.next(Tables.feed(), targets: StreamTargets(), now: Tables.start) {}
            let hole = Hole(from: Tables.id(3), after: Tables.id(3), upTo: Tables.id(4))
            for wasHeard in [false, true] {
                let action = live.hole(hole, of: Self.names[0], wasHeard: wasHeard, began: Tables.id(7))
                #expect(action == (isTold ? .tell(id: nil) : .nothing), "\(cursor)")
            }
        }
    }

    @Test("that has read the logs is told of a hole if one of the events that it lacks is among what it has read")
    func idsOfHole() throws {
        var hole = Hole(from: Tables.id(3), after: Tables.id(3), upTo: Tables.id(10))
        let feed = Tables.feed([11])
        for (ids, isTold) in [([], true), ([4, 9], true), ([9, 10], false)] as [([UInt64], Bool)] {
            // It has read the logs up to 8.
            var machine = Self.begun(2, feed)
            _ = Self.told(&machine, feed, logs: [])
            machine.read(upTo: 1)
            while case .checkpoint = Self.next(&machine, feed) {}
            hole.ids = ids.map(Tables.id)
            let action = machine.hole(hole, of: Self.names[0], wasHeard: true, began: .max)
            #expect(machine.isLive && action == (isTold ? .tell(id: nil) : .nothing), "\(ids)")
        }
    }

    @Test("lacks what a former master gave out later than the clock that it begins with, if that had come before it")
    func laterThanClock() throws {
        // 12 had come, and is in no log; a server whose clock stands at 11 says so.
        let feed = Tables.feed([12], clock: 9)
        let hole = Hole(from: Tables.id(6), after: Tables.id(11), upTo: Tables.id(12))
        for isKnown in [false, true] {
            let targets = Tables.targets(since: nil)
            var machine = Tables.begun(.after(Cursor(Tables.id(5))), feed, targets)
            _ = machine.begin(reading: Tables.id(11), feed, targets, replayBytes: 1 << 20, now: Tables.start)
            let marker = LogMarker(id: Tables.id(6), ends: false, holes: isKnown ? [hole] : [])
            let (_, text) = Self.told(&machine, feed, logs: [6], marker: marker)
            let gap = hole.gap(of: Self.names[0])
            #expect(text == ["6-0"] + (isKnown ? ["\(gap)"] : []))
            guard !isKnown else { continue }
            while case .checkpoint = Self.next(&machine, feed) {}
            var known = hole
            known.ids = [Tables.id(12)]
            let action = machine.hole(known, of: Self.names[0], wasHeard: true, began: .max)
            #expect(machine.isLive && action == .tell(id: nil))
        }
    }

    @Test("that waits for its place is owed a hole that nobody here had heard")
    func waiting() {
        let targets = Tables.targets(since: nil)
        for upTo in [10, 12] as [UInt64] {
            var machine = Tables.begun(.after(Cursor(Tables.id(11))), Tables.feed(clock: 9), targets)
            let hole = Hole(from: Tables.id(6), after: Tables.id(upTo - 1), upTo: Tables.id(upTo))
            let early = machine.hole(hole, of: Self.names[0], wasHeard: false, began: .max)
            _ = machine.begin(reading: Tables.id(11), Tables.feed(), targets, replayBytes: 1 << 20, now: Tables.start)
            _ = Self.told(&machine, Tables.feed(), logs: [])
            var told: [Gap] = []
            loop: for _ in 0..<10 {
                switch machine.next(Tables.feed(), targets: targets, now: Tables.start) {
                case .tell(let gap): told.append(gap)
                case .wait: break loop
                default: break
                }
            }
            #expect(early == .nothing && told == (upTo > 11 ? [hole.gap(of: Self.names[0])] : []))
        }
    }

    @Test("is not refused for good where its topics ended before the former master's place: it may not know")
    func ended() {
        let feed = Self.feed(3)
        let targets = Tables.targets(LogMarker(id: Tables.id(4), ends: true))
        for (sequence, isRefused) in [(0, false), (Self.mark, true)] as [(UInt64, Bool)] {
            var machine = Tables.confirmed(.after(Cursor(EventID(5, sequence))), targets)
            let action = machine.begin(feed, targets, replayBytes: 1 << 20, now: Tables.start)
            #expect(action == (isRefused ? .refuse : .start(gaps: [], checkpoint: nil)))
        }
    }
}
