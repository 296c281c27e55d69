// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import Testing

@Suite("StreamMachine delivers")
struct StreamDeliveryTests {
    private typealias Tables = StreamTables

    /// An entry as the feed brings it: late if the clock has passed its id.
    private static func entry(_ id: UInt64?, clock: UInt64 = 0) throws -> Batch.Entry {
        var builder = BatchBuilder()
        builder.raise(clock: Tables.id(clock))
        builder.add(id.map { Tables.id($0) }, to: 1)
        return try #require(try builder.take().entries.first)
    }

    private static func next(_ machine: inout StreamMachine, _ feed: FeedView) -> String {
        switch machine.next(feed, targets: StreamTargets(), now: Tables.start) {
        case .wait: "wait"
        case .event(let entry, _, _): "event \(entry.id)"
        case .gap(_, let id): "gap \(id.map { "\($0)" } ?? "")"
        case .flush: "flush"
        case .read: "read"
        case .replayed: "replayed"
        case .write(let position): "write \(position)"
        case .overrun(let position, _): "overrun \(position)"
        case .tell(let gap): "tell \(gap.targets.count)"
        case .checkpoint(let cursor): "checkpoint \(cursor)"
        case .finish: "finish"
        }
    }

    /// A run that has asked for one piece of one log, and has got it.
    private static func answered(
        _ machine: inout StreamMachine, _ ids: [UInt64], data: String = "x"
    ) -> Replaying? {
        guard
            case .read(let requests, let run) = machine.next(Tables.feed(), targets: StreamTargets(), now: Tables.start)
        else {
            return nil
        }
        var previous: EventID?
        let entries = ids.map { id in
            defer { previous = Tables.id(id) }
            return LogEntry(id: Tables.id(id), previous: previous, event: Event(ByteBuffer(string: data)))
        }
        let page = LogPage(marker: nil, entries: entries, isLast: true)
        _ = machine.received(
            .slice(LogSlice(LogSegment(page, after: .zero), isLast: true)), lane: requests[0].lane, of: run)
        return run
    }

    @Test("the ring up to its end, and from there on each batch")
    func goesLive() {
        var machine = Tables.begun(.after(Cursor(Tables.id(10))), Tables.feed([11, 12]))
        let feed = Tables.feed([11, 12])
        #expect(Self.next(&machine, feed) == "write 0")
        machine.read(upTo: 1)
        #expect(Self.next(&machine, feed) == "write 1")
        machine.read(upTo: 2)
        let isLive = machine.isLive
        #expect(!isLive)
        #expect(
            Self.next(&machine, feed) == "checkpoint 10-0", "a resumed stream's first cursor follows what it missed")
        #expect(Self.next(&machine, feed) == "wait")
        #expect(machine.phase() == .live)
    }

    @Test("without a gap for a late event that the ring has dropped, unless it came after the stream's beginning")
    func droppedLate() throws {
        var machine = Tables.begun(.after(Cursor(Tables.id(10))), Tables.feed([11, 12]))
        machine.read(upTo: 2)
        machine.wrote(upTo: Tables.id(12), now: Tables.start)
        for (id, isLost) in [(9, false), (10, false), (11, true), (13, false)] as [(UInt64, Bool)] {
            var builder = BatchBuilder()
            builder.raise(clock: Tables.id(20))
            builder.add(Tables.id(id), to: 1)
            let batch = try builder.take()
            var known = TargetFeed(of: try .topic("a"))
            known.drop(batch.groups[0], of: batch)
            let hasLost = machine.hasLost(known, from: 0)
            #expect(hasLost == isLost, "\(id)")
        }
    }

    @Test("from where its socket stopped, once that takes more, and all that was queued is out")
    func blocked() {
        var machine = Tables.live()
        machine.fellBehind(at: 1, ringEnd: 1, now: Tables.start)
        machine.blocked(ringEnd: 2, now: Tables.start)
        let feed = Tables.feed([11, 12])
        #expect(machine.phase() == .reading(1) && machine.isBlocked)
        #expect(Self.next(&machine, feed) == "wait")
        let first = machine.unblocked(now: Tables.start)
        #expect(!first)
        #expect(Self.next(&machine, feed) == "wait")
        let second = machine.unblocked(now: Tables.start)
        #expect(second)
        #expect(Self.next(&machine, feed) == "write 1")
    }

    @Test("a live stream whose socket is full of something else goes on at the ring's end")
    func blockedByLines() {
        var machine = Tables.live()
        machine.blocked(ringEnd: 9, now: Tables.start)
        #expect(machine.phase() == .reading(9))
    }

    @Test("its targets' events beyond its floor, which never goes back; late ones beyond its start")
    func wanted() throws {
        var machine = Tables.live()
        #expect(machine.floor() == Tables.id(10) && machine.start() == Tables.id(10))
        machine.wrote(upTo: Tables.id(20), now: Tables.start)
        machine.wrote(upTo: .zero, now: Tables.start)
        machine.wrote(upTo: Tables.id(15), now: Tables.start)
        #expect(machine.floor() == Tables.id(20))
        let wanted = machine.wanted()
        for (id, clock, isWanted) in [(20, 0, false), (21, 0, true), (15, 20, true), (10, 20, false)]
            as [(UInt64, UInt64, Bool)]
        {
            #expect(wanted.contains(try Self.entry(id, clock: clock), at: 9) == isWanted)
        }
    }

    @Test("live-only events from the position on at which its targets were confirmed")
    func liveOnly() throws {
        let feed = Tables.feed([11, 12])
        let machine = Tables.begun(.after(Cursor(Tables.id(10))), feed)
        let wanted = machine.wanted()
        #expect(machine.phase() == .reading(0))
        #expect(!wanted.contains(try Self.entry(nil), at: 1))
        #expect(wanted.contains(try Self.entry(nil), at: 2))
    }

    @Test("what the logs have up to the mark, before the ring; what the socket did not take comes again")
    func replays() {
        var machine = Tables.replaying()
        let run = Self.answered(&machine, [6, 7])
        #expect(run != nil)
        let feed = Tables.feed()
        #expect(Self.next(&machine, feed) == "event 6-0")
        #expect(Self.next(&machine, feed) == "event 7-0")
        #expect(Self.next(&machine, feed) == "flush")
        machine.replayed(1, upTo: Tables.id(6), now: Tables.start)
        machine.blocked(ringEnd: 0, now: Tables.start)
        #expect(Self.next(&machine, feed) == "wait")
        _ = machine.unblocked(now: Tables.start)
        #expect(Self.next(&machine, feed) == "event 7-0")
        #expect(Self.next(&machine, feed) == "flush")
        machine.replayed(1, upTo: Tables.id(7), now: Tables.start)
        #expect(Self.next(&machine, feed) == "replayed")
        #expect(machine.floor() == Tables.id(8) && machine.start() == Tables.id(8))
    }

    @Test("what was gathered is flushed before it keeps more in memory than a replay may hold")
    func bounded() throws {
        let (feed, targets) = (Tables.feed(), Tables.targets(since: 8, with: .all))
        var machine = Tables.confirmed(.after(Cursor(Tables.id(1))), targets)
        _ = machine.begin(feed, targets, replayBytes: 1, now: Tables.start)
        guard case .read(let requests, let run) = machine.next(feed, targets: StreamTargets(), now: Tables.start) else {
            Issue.record("a replay reads")
            return
        }
        for (request, ids) in zip(requests, [[2, 3], [4, 5]] as [[UInt64]]) {
            let entries = ids.map { LogEntry(id: Tables.id($0), previous: nil, event: Event(ByteBuffer(string: "x"))) }
            let segment = LogSegment(LogPage(marker: nil, entries: entries, isLast: true), after: .zero)
            _ = machine.received(.slice(LogSlice(segment, isLast: true)), lane: request.lane, of: run)
        }
        #expect(Self.next(&machine, feed) == "event 2-0")
        #expect(Self.next(&machine, feed) == "event 3-0")
        #expect(Self.next(&machine, feed) == "flush", "the first log's piece is held by nothing else")
    }

    @Test("nothing from logs while the broker is away, until it is asked again")
    func brokerAway() {
        var machine = Tables.replaying()
        guard
            case .read(let requests, let run) = machine.next(Tables.feed(), targets: StreamTargets(), now: Tables.start)
        else {
            Issue.record("a replay reads")
            return
        }
        let action = machine.received(.failed, lane: requests[0].lane, of: run)
        #expect(action == .askLater)
        #expect(Self.next(&machine, Tables.feed()) == "wait")
        machine.askAgain(run)
        #expect(Self.next(&machine, Tables.feed()) == "read")
    }

    @Test("its logs anew where the data set went back: what they had is gone without a trace")
    func wentBack() {
        var machine = Tables.replaying()
        guard
            case .read(let requests, let run) = machine.next(Tables.feed(), targets: StreamTargets(), now: Tables.start)
        else {
            Issue.record("a replay reads")
            return
        }
        let goesOn = machine.wentBack(Tables.feed(born: 7), began: .max)
        #expect(goesOn)
        #expect(Self.next(&machine, Tables.feed()) == "read")
        let action = machine.received(.failed, lane: requests[0].lane, of: run)
        #expect(action == .nothing, "the answer is to a question that counts no more")
        var live = Tables.live()
        let concerns = live.wentBack(Tables.feed(born: 7), began: .max)
        #expect(!concerns)
    }

    @Test("what its master's successor had given out, although it has read the former master's logs beyond that")
    func formerLogs() throws {
        var returned = Tables.replaying()
        returned.wrote(upTo: Tables.id(7), hasLate: false, now: Tables.start)
        var fresh = Tables.live()
        for began in [EventID.max, Tables.id(3)] {
            _ = returned.wentBack(Tables.feed(born: 7), began: began)
            _ = fresh.wentBack(Tables.feed(born: 7), began: began)
            let (wanted, wantedFresh) = (returned.wanted(), fresh.wanted())
            for (id, isRead) in [(5, true), (6, false), (7, false), (8, true)] as [(UInt64, Bool)] {
                let late = try Self.entry(id, clock: 20)
                #expect(wanted.contains(late, at: 3) == (began < .max && !isRead), "\(id) after \(began)")
                #expect(!wantedFresh.contains(late, at: 3), "it was before the stream")
            }
        }
    }

    @Test("the logs and then the ring anew, where that has passed it: late events twice in neither")
    func refills() throws {
        var machine = Tables.live()
        machine.fellBehind(at: 1, ringEnd: 1, now: Tables.start)
        _ = machine.unblocked(now: Tables.start)
        var feed = FeedView(ringBytes: 1)
        _ = feed.learn(born: 1)
        var builder = BatchBuilder()
        for id in 11...14 as ClosedRange<UInt64> {
            builder.add(Tables.id(id), to: 1)
            feed.append(try builder.take()) { _ in }
        }
        feed.read(clock: Tables.id(14))
        #expect(Self.next(&machine, feed) == "overrun 1")
        machine.refill(feed, Tables.targets(), replayBytes: 1)
        let wanted = machine.wanted()
        #expect(machine.phase() == .replaying)
        #expect(!wanted.contains(try Self.entry(12, clock: 20), at: 3), "the logs have it")
        #expect(wanted.contains(try Self.entry(15, clock: 20), at: 3))
    }

    @Test("a gap at once where it can, later where it can't, and none of what was before it")
    func gaps() throws {
        func gap(_ to: UInt64?) -> Gap { Gap(from: nil, to: to.map { Tables.id($0) }, targets: Tables.targets().names) }
        var live = Tables.live()
        for (to, expected) in [
            (10, .nothing), (11, .tell(id: Cursor(Tables.id(11)))), (11, .tell(id: nil)), (nil, .tell(id: nil)),
        ] as [(UInt64?, StreamMachine.GapAction)] {
            let action = live.gap(gap(to), id: to.map { Tables.id($0) }, now: Tables.start)
            #expect(action == expected)
        }
        var replaying = Tables.replaying()
        _ = replaying.gap(gap(8), id: nil, now: Tables.start)
        #expect(replaying.owed() == nil, "its own reading finds it")
        _ = replaying.gap(gap(9), id: nil, now: Tables.start)
        #expect(replaying.owed() == gap(9))
        var confirming = Tables.confirming()
        _ = confirming.gap(gap(9), id: nil, now: Tables.start)
        #expect(confirming.owed() == nil)
        live.fellBehind(at: 0, ringEnd: 0, now: Tables.start)
        _ = live.gap(gap(30), id: Tables.id(30), now: Tables.start)
        _ = live.gap(Gap(from: Tables.id(12), to: Tables.id(40), targets: [.all]), id: nil, now: Tables.start)
        _ = live.gap(gap(nil), id: nil, now: Tables.start)
        #expect(live.owed() == Gap(from: nil, to: Tables.id(40), targets: [.all] + Tables.targets().names))
        _ = live.unblocked(now: Tables.start)
        #expect(Self.next(&live, Tables.feed()) == "tell 2")
    }

    @Test("a checkpoint behind late events, at the next reading of the clock", arguments: [true, false])
    func late(hasCheckpoints: Bool) {
        var machine = Tables.live(hasCheckpoints: hasCheckpoints)
        var cursor = machine.read(clocks: Cut(Tables.id(20)), now: Tables.start)
        #expect(cursor == nil)
        machine.wrote(upTo: Tables.id(20), hasLate: true, now: Tables.start)
        var isOver = machine.isFinished(newest: Cut(.max), end: .zero)
        #expect(!isOver)
        cursor = machine.read(clocks: Cut(Tables.id(20)), now: Tables.start)
        #expect(cursor == (hasCheckpoints ? Cursor(Tables.id(20)) : nil), "it may carry the last one's id")
        machine.topic(isOver: true)
        isOver = machine.isFinished(newest: Cut(Tables.id(20)), end: Tables.id(20))
        #expect(isOver)
    }

    @Test("until all of its topics are over and it has had the last event of each")
    func ends() {
        var machine = Tables.live()
        var isOver = machine.isFinished(newest: Cut(.max), end: .zero)
        #expect(!isOver)
        machine.topic(isOver: true)
        isOver = machine.isFinished(newest: Cut(Tables.id(11)), end: Tables.id(12))
        #expect(!isOver, "the event that ends it is still to come")
        machine.wrote(upTo: Tables.id(12), hasLate: true, now: Tables.start)
        isOver = machine.isFinished(newest: Cut(Tables.id(12)), end: Tables.id(12))
        #expect(!isOver, "a cursor for its late events is still to come")
        machine.topic(isOver: false)
        _ = machine.read(clocks: Cut(Tables.id(20)), now: Tables.start)
        isOver = machine.isFinished(newest: Cut(.max), end: .zero)
        #expect(!isOver, "opened again")
    }
}
