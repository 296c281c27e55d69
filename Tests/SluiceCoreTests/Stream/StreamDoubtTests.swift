// SPDX-License-Identifier: Apache-2.0
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

    private static func start(_ resume: Resume, _ feed: FeedView) -> StreamMachine.StartAction? {
        let targets = Tables.targets(since: 8)
        var machine = Tables.confirmed(resume, targets)
        return machine.begin(feed, targets, replayBytes: 1 << 20, now: Tables.start)
    }

    @Test("is told so before its replay begins, if the node knows of it by then")
    func known() throws {
        var feed = Tables.feed()
        #expect(try feed.learn(Self.doubt()) && !feed.learn(Self.doubt()))
        #expect(Self.start(.after(Cursor(Tables.id(5))), feed) == .start(gaps: [Self.gap], checkpoint: nil))
        for cursor in [3, 7] as [UInt64] {
            #expect(Self.start(.after(Cursor(Tables.id(cursor))), feed) == .start(gaps: [], checkpoint: nil))
        }
        #expect(Self.start(.available, feed) == .start(gaps: [], checkpoint: nil))
    }

    @Test("is told so when the node learns of it, once; one that came without a cursor is not")
    func learned() throws {
        var live = Tables.begun(.after(Cursor(Tables.id(5))), Tables.feed(), Tables.targets(since: 1))
        while case .checkpoint = live.next(Tables.feed(), targets: StreamTargets(), now: Tables.start) {}
        let isLive = live.isLive
        var told: [Gap?] = []
        for doubt in [try Self.doubt(6, 9), try Self.doubt(), try Self.doubt(2)] {
            told.append(live.doubt(doubt, targets: Self.names))
        }
        #expect(isLive && told == [nil, Self.gap, nil])
        var fresh = Tables.live()
        let nothing = fresh.doubt(try Self.doubt(1, 99), targets: Self.names)
        #expect(nothing == nil)
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

    @Test("is owed it while it can't be told")
    func owed() throws {
        var machine = Tables.begun(.after(Cursor(Tables.id(5))), Tables.feed(), Tables.targets(since: 1))
        let now = machine.doubt(try Self.doubt(), targets: Self.names)
        var told: Gap?
        if case .tell(let gap) = machine.next(Tables.feed(), targets: StreamTargets(), now: Tables.start) { told = gap }
        #expect(now == nil && told == Self.gap)
    }
}
