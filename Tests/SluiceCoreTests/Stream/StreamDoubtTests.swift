// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import Testing

/// A client whose place a former master gave out may lack what its successor had given out before.
@Suite("A stream whose client may have been told its place by a former master")
struct StreamDoubtTests {
    private typealias Tables = StreamTables

    private static let names = [Tables.a].compactMap(\.self)
    private static let gap = Gap(from: Tables.id(3), to: Tables.id(5), targets: names)

    private static func doubt(_ after: UInt64 = 3, _ upTo: UInt64 = 6) throws -> Doubt {
        try #require(Doubt(after: Tables.id(after), upTo: Tables.id(upTo)))
    }

    private static let feed: FeedView = {
        var feed = Tables.feed([11])
        if let doubt = try? doubt() { _ = feed.learn(doubt) }
        return feed
    }()

    /// It came with a cursor, from before what the ring has, or from what it has.
    private static func begun(_ cursor: UInt64, _ feed: FeedView, isLive: Bool = false) -> StreamMachine {
        var machine = Tables.begun(.after(Cursor(Tables.id(cursor))), feed, Tables.targets(since: isLive ? 1 : 8))
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

    private static let rows: [(cursor: UInt64, logs: [UInt64], after: UInt64, told: [String])] = [
        (5, [6, 7], 3, ["6-0", "7-0"]), (5, [], 3, []), (5, [4, 6], 3, ["gap", "6-0"]),
        (5, [4, 5, 7], 3, ["gap", "7-0"]), (5, [3, 6], 3, ["6-0"]), (3, [4, 6], 3, ["4-0", "6-0"]),
        (7, [4, 8], 7, ["8-0"]),
    ]

    @Test("is told so with its replay, if its logs have something of that time", arguments: rows)
    func known(_ row: (cursor: UInt64, logs: [UInt64], after: UInt64, told: [String])) {
        var machine = Self.begun(row.cursor, Self.feed)
        let (after, told) = Self.told(&machine, Self.feed, logs: row.logs)
        #expect(after == [Tables.id(row.after)] && told == row.told)
    }

    @Test(
        "is told so when the node learns of it, if its logs have something of that time, and goes on",
        arguments: [true, false])
    func learned(isLive: Bool) throws {
        for (logs, expected) in [([4, 9], ["gap"]), ([6, 9], [])] as [([UInt64], [String])] {
            let feed = Tables.feed([11])
            var machine = Self.begun(5, feed, isLive: isLive)
            if !isLive, case .read = Self.next(&machine, feed) {}
            var goesOn: [Bool] = []
            for doubt in [try Self.doubt(6, 9), try Self.doubt()] {
                goesOn.append(machine.doubt(doubt, feed, targets: Tables.targets(), replayBytes: 1 << 20))
            }
            #expect(goesOn == [false, true] && machine.replays == 1)
            let (after, told) = Self.told(&machine, feed, logs: logs)
            #expect(after == [Tables.id(3)])
            #expect(told == (isLive ? expected : expected + logs.filter { $0 > 5 && $0 <= 8 }.map { "\($0)-0" }))
            guard isLive else { continue }
            _ = Self.next(&machine, feed)
            let isLiveAgain = machine.isLive
            let isAskedAgain = machine.doubt(try Self.doubt(2), feed, targets: Tables.targets(), replayBytes: 1)
            #expect(isLiveAgain && isAskedAgain == expected.isEmpty, "once told is enough")
        }
        var fresh = Tables.live()
        let nothing = fresh.doubt(try Self.doubt(1, 99), Self.feed, targets: Tables.targets(), replayBytes: 1)
        #expect(!nothing)
    }

    @Test("is told so where its logs can't be asked: it may be gone before they can")
    func away() {
        var machine = Self.begun(5, Self.feed)
        guard case .read(let requests, let run) = Self.next(&machine, Self.feed) else {
            Issue.record("a replay reads")
            return
        }
        _ = machine.received(.failed, lane: requests[0].lane, of: run)
        guard case .gap(let gap, nil) = Self.next(&machine, Self.feed) else {
            Issue.record("it is told")
            return
        }
        #expect(gap == Self.gap)
        if case .flush = Self.next(&machine, Self.feed) { machine.replayed(1, upTo: .zero, now: Tables.start) }
        machine.askAgain(run)
        let (after, told) = Self.told(&machine, Self.feed, logs: [4, 6])
        #expect(after == [Tables.id(3)] && told == ["6-0"])
    }

    @Test("is told so of the doubt that reaches back furthest, in whichever order they become known")
    func overlapping() throws {
        for doubts in [[try Self.doubt(), try Self.doubt(4, 9)], [try Self.doubt(4, 9), try Self.doubt()]] {
            var feed = Tables.feed([11])
            var machine = Self.begun(5, feed, isLive: true)
            for doubt in doubts {
                _ = feed.learn(doubt)
                _ = machine.doubt(doubt, feed, targets: Tables.targets(), replayBytes: 1)
            }
            #expect(Self.told(&machine, feed, logs: [4]).text == ["gap"])
            var known = Self.begun(5, feed)
            #expect(Self.told(&known, feed, logs: [4]).text == ["gap"])
        }
    }

    @Test("is told so after all if that was given out and had not gone out when the data set changed again")
    func unsent() throws {
        for isSent in [false, true] {
            var machine = Self.begun(5, Self.feed)
            guard case .read(let requests, let run) = Self.next(&machine, Self.feed) else {
                Issue.record("a replay reads")
                return
            }
            _ = machine.received(.failed, lane: requests[0].lane, of: run)
            guard case .gap = Self.next(&machine, Self.feed), case .flush = Self.next(&machine, Self.feed) else {
                Issue.record("it is told")
                return
            }
            if isSent { machine.replayed(1, upTo: .zero, now: Tables.start) }
            machine.blocked(ringEnd: 1, now: Tables.start)
            _ = machine.wentBack(Self.feed, began: Tables.id(5))
            _ = machine.unblocked(now: Tables.start)
            #expect(Self.told(&machine, Self.feed, logs: [4, 6]).text == (isSent ? ["6-0"] : ["gap", "6-0"]))
        }
    }

    @Test("is live again once it was told, although its logs can't be read to their end")
    func needless() throws {
        let feed = Tables.feed([11])
        var machine = Self.begun(5, feed, isLive: true)
        _ = machine.doubt(try Self.doubt(), feed, targets: Tables.targets(), replayBytes: 1)
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
}
