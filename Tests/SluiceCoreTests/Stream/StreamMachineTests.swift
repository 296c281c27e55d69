// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import Testing

/// What a table of one stream's life needs: the shard's knowledge, and a stream in each phase.
enum StreamTables {
    static let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
    static let limits = StreamMachine.Limits(heartbeat: .seconds(15), checkpoint: .seconds(300), stall: .seconds(30))

    static func at(_ seconds: Int64) -> NIODeadline { start + .seconds(seconds) }
    static func id(_ number: UInt64) -> EventID { EventID(number, 0) }

    /// A feed whose clock was read at 10, and whose ring has these events behind that.
    static func feed(_ ids: [UInt64] = [], clock: UInt64 = 10, born: UInt64 = 1) -> FeedView {
        var feed = FeedView(ringBytes: 1 << 20)
        feed.read(clock: id(clock))
        _ = feed.learn(born: born)
        _ = feed.learn(Lineage())
        var builder = BatchBuilder()
        for number in ids {
            builder.add(id(number), to: 1)
            if let batch = builder.finish() { feed.append(batch) { _ in } }
        }
        return feed
    }

    static let a = Target("topic:a")
    static let ann = Target("client:ann")

    /// A topic that is heard since an id.
    static func targets(
        since: UInt64? = 1, _ marker: LogMarker? = nil, isEndKnown: Bool = true, with other: Target? = nil
    ) -> StreamTargets {
        var targets = StreamTargets()
        for target in [a, other].compactMap(\.self) {
            var heard = TargetFeed(of: target)
            heard.coverage = since.map { .since(id($0)) } ?? .confirmed
            if isEndKnown { _ = heard.learn(marker) }
            targets.add(target, heard)
        }
        return targets
    }

    static func confirming(
        _ resume: Resume = .fresh, hasCheckpoints: Bool = true, expiry: NIODeadline? = nil
    ) -> StreamMachine {
        StreamMachine(now: start, expiry: expiry, resume: resume, hasCheckpoints: hasCheckpoints)
    }

    /// Its targets are confirmed, and no other input has come.
    static func confirmed(
        _ resume: Resume = .fresh, _ targets: StreamTargets = targets(), hasCheckpoints: Bool = true,
        expiry: NIODeadline? = nil
    ) -> StreamMachine {
        var machine = confirming(resume, hasCheckpoints: hasCheckpoints, expiry: expiry)
        machine.opened(targets)
        _ = machine.confirmed()
        return machine
    }

    static func begun(
        _ resume: Resume = .fresh, _ feed: FeedView = feed(), _ targets: StreamTargets = targets(),
        hasCheckpoints: Bool = true, expiry: NIODeadline? = nil
    ) -> StreamMachine {
        var machine = confirmed(resume, targets, hasCheckpoints: hasCheckpoints, expiry: expiry)
        _ = machine.begin(feed, targets, replayBytes: 1 << 20, now: start)
        _ = machine.takeHead()
        return machine
    }

    static func live(expiry: NIODeadline? = nil, hasCheckpoints: Bool = true) -> StreamMachine {
        var machine = begun(hasCheckpoints: hasCheckpoints, expiry: expiry)
        _ = machine.next(feed(), targets: StreamTargets(), now: start)
        return machine
    }

    /// It comes back with a cursor from before what the ring has.
    static func replaying(_ cursor: UInt64 = 5) -> StreamMachine {
        begun(.after(Cursor(id(cursor))), feed(), targets(since: 8))
    }
}

@Suite("StreamMachine begins")
struct StreamOpeningTests {
    private typealias Tables = StreamTables

    @Test("once each target that it waits for is confirmed, and not before")
    func confirmations() {
        var machine = Tables.confirming()
        machine.waits()
        machine.waits()
        let results = [machine.confirmed(), machine.confirmed(), machine.confirmed()]
        #expect(results == [false, false, true])
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        var resume = Resume.fresh
        var clock: UInt64 = 10
        var ids: [UInt64] = []
        var born: UInt64 = 1
        var targets = StreamTables.targets()
        let expected: StreamMachine.StartAction
        let phase: StreamPhase

        var testDescription: String { name }
    }

    private static let checkpoint = StreamMachine.StartAction.start(gaps: [], checkpoint: Cursor(Tables.id(10)))
    private static let silent = StreamMachine.StartAction.start(gaps: [], checkpoint: nil)
    private static let ended = StreamTables.targets(LogMarker(id: Tables.id(7), ends: true))

    private static func after(_ number: UInt64) -> Resume { .after(Cursor(Tables.id(number))) }

    private static let rows: [Row] = [
        Row(name: "fresh", expected: checkpoint, phase: .reading(0)),
        Row(name: "without a clock", clock: 0, expected: .askForReading(PartitionSet(.first)), phase: .awaitingReading),
        Row(name: "without a birth", born: 0, expected: .askForReading(PartitionSet(.first)), phase: .awaitingReading),
        Row(
            name: "fresh, after an event later than the clock", ids: [11],
            expected: .askForReading(PartitionSet(.first)),
            phase: .awaitingReading),
        Row(
            name: "malformed, after such an event", resume: .malformed, ids: [11],
            expected: .askForReading(PartitionSet(.first)),
            phase: .awaitingReading),
        Row(
            name: "a target not heard", targets: Tables.targets(since: nil),
            expected: .askForReading(PartitionSet(.first)),
            phase: .awaitingReading),
        Row(
            name: "a target heard later", targets: Tables.targets(since: 11),
            expected: .askForReading(PartitionSet(.first)),
            phase: .awaitingReading),
        Row(
            name: "an end not known", targets: Tables.targets(isEndKnown: false),
            expected: .askForReading(PartitionSet(.first)),
            phase: .awaitingReading),
        Row(
            name: "such an end, with a client", targets: Tables.targets(isEndKnown: false, with: Tables.ann),
            expected: checkpoint, phase: .reading(0)),
        Row(
            name: "a cursor later than the clock", resume: after(11), expected: .askForReading(PartitionSet(.first)),
            phase: .awaitingReading),
        Row(
            name: "malformed", resume: .malformed,
            expected: .start(
                gaps: [Gap(from: nil, to: Tables.id(10), targets: Tables.targets().names)],
                checkpoint: Cursor(Tables.id(10))), phase: .reading(0)),
        Row(
            name: "a cursor that the ring covers", resume: after(10), ids: [11, 12], expected: silent,
            phase: .reading(0)),
        Row(
            name: "a cursor before what is heard", resume: after(5), targets: Tables.targets(since: 8),
            expected: silent, phase: .replaying),
        Row(name: "earliest", resume: .earliest, ids: [11], expected: silent, phase: .replaying),
        Row(name: "available", resume: .available, expected: silent, phase: .replaying),
        Row(name: "fresh, and over", targets: ended, expected: .refuse, phase: .ready),
        Row(name: "a cursor at the end", resume: after(7), targets: ended, expected: .refuse, phase: .ready),
        Row(name: "a cursor before the end", resume: after(6), targets: ended, expected: silent, phase: .reading(0)),
        Row(name: "earliest, and over", resume: .earliest, targets: ended, expected: silent, phase: .replaying),
    ]

    @Test("as its request and what the shard knows say", arguments: rows)
    func beginnings(_ row: Row) {
        var machine = Tables.confirmed(row.resume, row.targets)
        let feed = Tables.feed(row.ids, clock: row.clock, born: row.born)
        let action = machine.begin(feed, row.targets, replayBytes: 1 << 20, now: Tables.start)
        #expect(action == row.expected)
        #expect(machine.phase() == row.phase)
    }

    @Test("where its targets were confirmed, after the reading that it has asked for")
    func reading() throws {
        var machine = Tables.confirmed()
        var action = machine.begin(Tables.feed(clock: 0), Tables.targets(), replayBytes: 1, now: Tables.start)
        #expect(action == .askForReading(PartitionSet(.first)))
        action = machine.begin(
            reading: Tables.id(20), Tables.feed([11, 12]), Tables.targets(), replayBytes: 1, now: Tables.at(1))
        #expect(action == .start(gaps: [], checkpoint: Cursor(Tables.id(20))))
        #expect(machine.phase() == .reading(0) && machine.floor() == Tables.id(20))
    }

    @Test("and is told what was lost while it waited for its reading, if that is later")
    func lostMeanwhile() {
        for (number, isTold) in [(20, false), (21, true)] as [(UInt64, Bool)] {
            var machine = Tables.confirmed()
            _ = machine.begin(Tables.feed(clock: 0), Tables.targets(), replayBytes: 1, now: Tables.start)
            let gap = Gap(from: nil, to: Tables.id(number), targets: Tables.targets().names)
            let action = machine.gap(gap, id: nil, now: Tables.start)
            #expect(action == .nothing)
            _ = machine.begin(
                reading: Tables.id(20), Tables.feed(), Tables.targets(), replayBytes: 1, now: Tables.start)
            #expect((machine.owed() != nil) == isTold)
        }
    }

    @Test("after a second without the broker its head goes out, once, and from there on all is its own")
    func promise() {
        var machine = Tables.confirming()
        var (action, next) = machine.wake(now: Tables.start, clocks: Cut(Tables.id(10)), limits: Tables.limits)
        #expect((action, next) == (.sleep, Tables.at(1)))
        (action, next) = machine.wake(now: Tables.at(1), clocks: Cut(Tables.id(10)), limits: Tables.limits)
        #expect((action, next) == (.head, Tables.at(16)))
        let heads = [machine.takeHead(), machine.takeHead()]
        #expect(heads == [true, false])
        machine.opened(Tables.targets())
        _ = machine.confirmed()
        _ = machine.begin(Tables.feed(clock: 30), Tables.targets(since: 20), replayBytes: 1, now: Tables.at(2))
        #expect(machine.phase() == .replaying && machine.floor() == Tables.id(10))
    }

    @Test("a stream whose head is out is not refused but finished")
    func promisedAndOver() {
        var machine = Tables.confirmed(.fresh, Self.ended)
        _ = machine.takeHead()
        let action = machine.begin(Tables.feed(), Self.ended, replayBytes: 1, now: Tables.start)
        #expect(action == .finish)
    }

    @Test("what races with its end is ignored")
    func races() {
        var machine = Tables.replaying()
        guard
            case .read(let requests, let run) = machine.next(Tables.feed(), targets: StreamTargets(), now: Tables.start)
        else {
            Issue.record("a replay reads")
            return
        }
        machine.end()
        let late = machine.confirmed()
        #expect(!late)
        let reading = machine.begin(
            reading: Tables.id(20), Tables.feed(), Tables.targets(), replayBytes: 1, now: Tables.start)
        #expect(reading == nil)
        let failed = machine.received(.failed, lane: requests[0].lane, of: run)
        let unreadable = machine.received(.unreadable, lane: requests[0].lane, of: run)
        #expect(failed == .nothing && unreadable == .nothing)
        machine.askAgain(run)
        let unblocked = machine.unblocked(now: Tables.start)
        #expect(!unblocked)
        machine.blocked(ringEnd: 1, now: Tables.start)
        machine.fellBehind(at: 1, ringEnd: 1, now: Tables.start)
        let gap = machine.gap(Gap(from: nil, to: nil, targets: []), id: nil, now: Tables.start)
        #expect(gap == .nothing && machine.phase() == .ended)
    }
}
