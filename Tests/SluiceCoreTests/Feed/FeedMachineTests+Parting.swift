// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import Testing

/// Two data sets part, and what was heard of one is missing in the other: `FeedMachine+Parting.swift`.
extension FeedMachineTests {
    // MARK: Scripts

    static func lineage(_ found: UInt64...) -> Lineage {
        Lineage(found.enumerated().map { Lineage.Run(2 * UInt64($0.offset), found: id($0.element)) })
    }

    static func hole(after: UInt64, upTo: UInt64) -> Hole {
        Hole(from: id(after), after: id(after), upTo: id(upTo))
    }

    static func marker(_ newest: UInt64, _ holes: Hole...) -> LogMarker {
        LogMarker(id: id(newest), ends: false, holes: holes)
    }

    func said(_ machine: inout FeedMachine) -> [Said] { actions(&machine).compactMap { Said($0) } }

    /// Events come over the feed, each after the one before it.
    ///
    /// - Returns: those that are delivered.
    func hear(_ ids: [UInt64], after first: UInt64, _ machine: inout FeedMachine) -> [Int] {
        zip(ids, [first] + ids).compactMap { id, previous in
            receive(Self.id(id), after: Self.id(previous), &machine).map { Said.offset($0) }
        }
    }

    /// A notice comes over the feed.
    func notice(_ hole: Hole, _ machine: inout FeedMachine) -> [Said] {
        let payload = ModelBroker.notice(hole)
        let event = payload.withUnsafeReadableBytes { machine.received($0, for: number, now: Self.now) }
        #expect(event == nil)
        return said(&machine)
    }

    /// A tick, and what the broker answers when it is asked for markers.
    func tick(
        marker: LogMarker? = nil, lineage: Lineage = Lineage(), _ machine: inout FeedMachine
    ) -> [Said] {
        machine.tick(now: Self.now, wallClock: Self.time)
        let all = actions(&machine)
        let reading = ClockReading(clock: Self.id(8), born: 1, lineage: lineage, markers: [marker])
        for case .readMarkers(let read) in all { machine.markers(reading, of: read, now: Self.now) }
        return all.compactMap { Said($0) } + said(&machine)
    }

    /// The connection is lost, and the next one leads to a server with this lineage.
    func connect(
        to lineage: Lineage, marker: LogMarker? = nil, born: UInt64 = 1, _ machine: inout FeedMachine
    ) throws -> (said: [Said], read: FeedRead?) {
        machine.connectionLost()
        _ = machine.confirmed(topic)
        machine.connectionUp(now: Self.now)
        let before = actions(&machine)
        let asked = before.compactMap { if case .readMarkers(let read) = $0 { read } else { nil } }
        let reading = ClockReading(clock: Self.id(8), born: born, lineage: lineage, markers: [marker])
        machine.markers(reading, of: try #require(asked.first), now: Self.now)
        var after = actions(&machine)
        // It waits for what other nodes say of another data set, and asks again.
        for case .wake(let attempt, _) in after {
            machine.woken(attempt, now: Self.now)
            for case .readMarkers(let read) in actions(&machine) {
                machine.markers(reading, of: read, now: Self.now)
            }
            after += actions(&machine)
        }
        let reads = after.compactMap { if case .readLog(let read) = $0 { read } else { nil } }
        return ((before + after).compactMap { Said($0) }, reads.first)
    }

    /// A log is read that has these events, the first of them after `first`.
    func bring(
        _ ids: [UInt64], after first: UInt64, marker: LogMarker? = nil, for read: FeedRead?,
        _ machine: inout FeedMachine
    ) throws -> [Said] {
        let read = try #require(read)
        let entries = zip(ids, [first] + ids).map { entry(Self.id($0.0), after: Self.id($0.1)) }
        machine.received(slice(entries, of: read, marker: marker), of: read, now: Self.now)
        return said(&machine)
    }

    /// A machine that has heard 1, 2 and 5 of a master, and knows its lineage.
    func hearing() -> FeedMachine {
        var machine = listening()
        let ticked = tick(lineage: Self.lineage(0), &machine)
        let heard = hear([1, 2, 5], after: 0, &machine)
        #expect(ticked == [.tick, .readMarkers] && heard == [1, 2, 5])
        return machine
    }

    /// It comes to another master, which has 3 and 4 after 1.
    func part(
        marker: LogMarker = marker(4), _ machine: inout FeedMachine
    ) throws -> (said: [Said], read: FeedRead?) {
        try connect(to: Self.lineage(0, 1), marker: marker, &machine)
    }

    // MARK: What was heard

    @Test(
        "Streams lack what another master has from where the two part, whichever of them is older; or nobody knows from where",
        arguments: [
            (lineage(0), lineage(0, 1), id(1)), (lineage(0, 1), lineage(0), id(1)), (nil, lineage(0, 1), .max),
        ] as [(Lineage?, Lineage, EventID)])
    func newsToStreams(own: Lineage?, other: Lineage, began: EventID) throws {
        var machine = listening()
        if let own { _ = tick(lineage: own, &machine) }
        _ = hear([1, 2, 5], after: 0, &machine)
        machine.connectionLost()
        _ = machine.confirmed(topic)
        machine.connectionUp(now: Self.now)
        let asked = actions(&machine).compactMap { if case .readMarkers(let read) = $0 { read } else { nil } }
        let reading = ClockReading(clock: Self.id(8), born: 1, lineage: other, markers: [Self.marker(4)])
        machine.markers(reading, of: try #require(asked.first), now: Self.now)
        let news = actions(&machine).compactMap { if case .changed(let began) = $0 { began } else { nil } }
        #expect(news == [began])
    }

    @Test("A node that comes to another master says what it has heard, gets what it has not, and nothing twice")
    func twoMasters() throws {
        var machine = hearing()
        let (said, read) = try part(&machine)
        #expect(said == [.tick, .readMarkers, .changed, report(5, since: 1), .readLog(after: 1)])
        let brought = try bring([3, 4], after: 1, for: read, &machine)
        #expect(brought == [.brought(3), .brought(4)])
        let told = notice(Self.hole(after: 1, upTo: 5), &machine)
        let heard = hear([4], after: 3, &machine) + hear([6], after: 4, &machine)
        #expect(told == [.hole(5, wasHeard: true)] && heard == [6])
    }

    @Test(
        "What was heard is reported if it came after the place where the data sets part, and the other one lacks it",
        arguments: [
            (1, nil, true), (1, marker(4), true), (1, marker(7), true), (1, marker(5), false),
            // Another node has said that it had it.
            (1, marker(5, hole(after: 1, upTo: 5)), true),
            (1, marker(5, hole(after: 1, upTo: 3)), false), (4, marker(4), true), (5, marker(4), false),
        ] as [(UInt64, LogMarker?, Bool)])
    func beyond(found: UInt64, marker: LogMarker?, isReported: Bool) throws {
        var machine = hearing()
        let (said, _) = try connect(to: Self.lineage(0, found), marker: marker, &machine)
        #expect(said.contains(report(5, since: found)) == isReported)
    }

    @Test("A data set that has not gone back is asked about nothing")
    func same() throws {
        var machine = hearing()
        let (said, _) = try connect(to: Self.lineage(0), marker: Self.marker(4), &machine)
        #expect(said == [.tick, .readMarkers])
    }

    @Test("What is older than the data set is not reported: it is lost as a whole, and that is told anyhow")
    func older() throws {
        var machine = hearing()
        let (said, _) = try connect(to: Self.lineage(0, 1), born: Self.time + 6, &machine)
        let reports = said.compactMap { if case .report(let report) = $0 { report.items } else { nil } }
        #expect(reports == [])
    }

    @Test("What was heard of a topic to which nobody listens any more is reported, too")
    func former() throws {
        var machine = hearing()
        _ = machine.unlisten(to: topic, shard: 0)
        machine.gone(topic)
        let (said, _) = try part(&machine)
        #expect(said == [.tick, .readMarkers, .changed, report(5, since: 1)])
    }

    @Test(
        "What was heard before the lineage was known may be of another data set than the first whose lineage is",
        arguments: [(lineage(), nil), (lineage(0), 0), (lineage(0, 1), 1)] as [(Lineage, UInt64?)])
    func unknownLineage(lineage: Lineage, since: UInt64?) throws {
        var machine = listening()
        let heard = hear([1, 2, 5], after: 0, &machine)
        let (said, _) = try connect(to: lineage, marker: Self.marker(4), &machine)
        let parted = since.map { [.changed, report(5, since: $0), .readLog(after: Int($0))] }
        #expect(heard == [1, 2, 5] && said == [.tick, .readMarkers] + (parted ?? []))
    }

    @Test("Each connection, and each attempt at a repair, ticks before it asks for the lineage")
    func ticksFirst() throws {
        var machine = FeedMachine(limits: .init(event: 10), wallClock: Self.time, now: Self.now)
        machine.connectionUp(now: Self.now)
        let first = said(&machine)
        // Nothing was read of the clock yet.
        machine.connectionLost()
        machine.connectionUp(now: Self.now)
        let second = said(&machine)
        #expect(first == [.tick, .readMarkers] && second == first)
        machine = listening()
        machine.connectionLost()
        machine.connectionUp(now: Self.now)
        let begun = actions(&machine)
        for case .readMarkers(let read) in begun { machine.markersFailed(read, now: Self.now) }
        for case .wake(let attempt, _) in actions(&machine) { machine.woken(attempt, now: Self.now) }
        let again = said(&machine)
        #expect(begun.compactMap { Said($0) } == first && again == first)
    }

    @Test("A data set may go back twice: what was heard of either one before is reported, and known when it is told")
    func again() throws {
        var machine = hearing()
        let (_, read) = try part(&machine)
        machine.reported(true)
        let brought = try bring([3, 4], after: 1, for: read, &machine)
        let heard = hear([6, 7], after: 4, &machine)
        #expect(brought == [.brought(3), .brought(4)] && heard == [6, 7])
        let (said, _) = try connect(to: Self.lineage(0, 1, 6), marker: Self.marker(6), &machine)
        #expect(said == [.tick, .readMarkers, .changed, report((5, since: 1), (7, since: 6))])
        machine.reported(true)
        #expect(self.said(&machine) == [])
        for (upTo, wasHeard) in [(2, true), (4, true), (5, true), (7, true), (8, false)] as [(UInt64, Bool)] {
            let told = notice(Self.hole(after: 1, upTo: upTo), &machine)
            #expect(told == [.hole(Int(upTo), wasHeard: wasHeard)])
        }
    }

    @Test("A data set that goes back again before its logs were read is read from where the first one parted")
    func againUnread() throws {
        var machine = hearing()
        _ = try part(&machine)
        let (said, read) = try connect(to: Self.lineage(0, 1, 4), marker: Self.marker(4), &machine)
        #expect(said == [.tick, .readMarkers, .changed, .readLog(after: 1)])
        let brought = try bring([3, 4], after: 1, for: read, &machine)
        #expect(brought == [.brought(3), .brought(4)])
    }

    // MARK: What is told

    @Test(
        "A report that was not taken is sent again with the next tick; one that was, to the next data set, too, for a while",
        arguments: [(0, true), (4, true), (10, false)])
    func reportAgain(ticks: Int, isKept: Bool) throws {
        var machine = hearing()
        _ = try part(&machine)
        let unanswered = tick(&machine)
        machine.reported(false)
        let refused = said(&machine)
        let second = tick(&machine)
        machine.reported(true)
        let taken = said(&machine) + tick(&machine)
        let report = report(5, since: 1)
        #expect(unanswered == [.tick] && refused == [] && second == [.tick, report] && taken == [.tick])
        for _ in 0..<ticks { _ = tick(&machine) }
        let (said, _) = try connect(to: Self.lineage(0, 1, 8), marker: Self.marker(4), &machine)
        let reports = said.filter { if case .report = $0 { true } else { false } }
        #expect(reports == (isKept ? [report] : []))
    }

    @Test("Nothing is reported while the broker is away")
    func reportLater() throws {
        var machine = hearing()
        _ = try part(&machine)
        machine.connectionLost()
        machine.reported(false)
        let away = tick(&machine)
        _ = try part(&machine)
        let back = tick(&machine)
        #expect(away == [.tick] && back == [.tick, report(5, since: 1)])
    }

    @Test(
        "What another node has heard and the data set lacks is told once, and whether this one had it; not what is from the future",
        arguments: [(5, true), (2, true), (4, false), (7, false), (70_000, nil)] as [(UInt64, Bool?)])
    func notice(upTo: UInt64, wasHeard: Bool?) throws {
        var machine = hearing()
        let (_, read) = try part(&machine)
        let brought = try bring([], after: 1, for: read, &machine)
        let hole = Self.hole(after: 1, upTo: upTo)
        let told = notice(hole, &machine)
        #expect(brought == [] && told == (wasHeard.map { [.hole(Int(upTo), wasHeard: $0)] } ?? []))
        guard wasHeard != nil else { return }
        let ticked = tick(marker: Self.marker(4, hole), &machine)
        #expect(ticked == [.tick, .readMarkers])
    }

    @Test("A hole that has come up in a marker is told, if its notice did not come; not one that stood there before")
    func holeInMarker() {
        var machine = listening()
        let heard = hear([1, 2, 5], after: 0, &machine)
        let (old, new) = (Self.hole(after: 0, upTo: 2), Self.hole(after: 1, upTo: 3))
        let said = [[old], [old, new], [old, new]].map { holes in
            tick(marker: LogMarker(id: Self.id(5), ends: false, holes: holes), &machine)
        }
        #expect(heard == [1, 2, 5] && said.map { $0.dropFirst(2) } == [[], [.hole(3, wasHeard: false)], []])
    }

    @Test(
        "Of holes within each other each is told, because one may have been heard and the other not",
        arguments: [(3, [4]), (8, [3, 4])] as [(UInt64, [UInt64])])
    func nestedHoles(other: UInt64, events: [UInt64]) throws {
        var machine = hearing()
        let ends = [other, 5].sorted()
        let holes = ends.map { Self.hole(after: 1, upTo: $0) }
        let marker = LogMarker(id: Self.id(4), ends: false, holes: holes)
        let (said, read) = try part(marker: marker, &machine)
        let told: [Said] = ends.map { .hole(Int($0), wasHeard: $0 == 5) }
        #expect(said.suffix(3) == told + [.readLog(after: 1)])
        // What was told is not told as a gap by whoever reads the log.
        let brought = try bring(events, after: 1, marker: marker, for: read, &machine)
        #expect(brought == events.map { .brought(Int($0)) })
    }

    @Test("What came before a hole is missed, too, if the hole is told first", arguments: [[], [1]])
    func beforeHole(ids: [UInt64]) {
        var machine = listening()
        let heard = hear(ids, after: 0, &machine)
        let told = notice(Self.hole(after: 5, upTo: 7), &machine)
        let early = hear([8], after: 5, &machine)
        #expect(heard.count == ids.count && told == [.hole(7, wasHeard: false)] && early == [])
    }

    // MARK: What the log seems to lack

    @Test(
        "An event that the chain leaves out, or that comes behind a later one, is asked about with the next tick",
        arguments: [
            (EventID(time + 6, 0), id(5), id(4)),
            (EventID(time + 3, 0), id(3), id(2)),
            (EventID(time + 3, 7), EventID(time + 3, 7), EventID(time + 3, 6)),
        ])
    func strays(next: EventID, stray: EventID, since: EventID) {
        var machine = listening()
        let heard = hear([1, 5], after: 0, &machine)
        let delivered = receive(next, after: Self.id(1), &machine)
        let before = said(&machine)
        let ticked = tick(&machine)
        let report = HeardReport([.init(HeardEvent(topic, stray, ends: false), since: since)])
        #expect(heard == [1, 5] && delivered == next && before == [])
        #expect(ticked == [.tick, .report(report), .readMarkers])
    }

    @Test("The newest event is asked about, once, if its log's marker is older; not before a reading has come after it")
    func strayOfMarker() {
        var machine = listening()
        let heard = hear([1, 5], after: 0, &machine)
        let marker = Self.marker(1)
        var said = [tick(marker: marker, &machine), tick(marker: marker, &machine)]
        machine.received(clock: Self.id(8), born: 1)
        said += [tick(marker: marker, &machine), tick(marker: marker, &machine)]
        machine.reported(true)
        said += [tick(marker: marker, &machine), tick(marker: marker, &machine)]
        let quiet: [Said] = [.tick, .readMarkers]
        #expect(
            heard == [1, 5] && said == [quiet, quiet, quiet, [.tick, report(5, since: 4), .readMarkers], quiet, quiet])
    }

    @Test("An event that comes behind a later one is delivered once; should it be lost, this node has had it")
    func lateStray() {
        var machine = listening()
        let heard = hear([1, 5], after: 0, &machine)
        let late = [3, 3, 5, 4].map { hear([$0], after: 1, &machine) }
        #expect(heard == [1, 5] && late == [[3], [], [], [4]])
        let told = (2...5).flatMap { notice(Self.hole(after: 1, upTo: $0), &machine) }
        #expect(told == (2...5).map { .hole($0, wasHeard: $0 > 2) })
    }

    // MARK: What is forged

    @Test("Whoever forges notices, predecessors and markers costs no memory, and stops no hole from being told")
    func bounded() {
        var machine = listening()
        let real = Self.hole(after: 1, upTo: 5)
        let first = tick(marker: Self.marker(1), &machine)
        let heard = hear([1], after: 0, &machine)
        for offset: UInt64 in 2...10_001 {
            _ = notice(Self.hole(after: 1, upTo: offset), &machine)
            _ = hear([10_000 + offset], after: 1, &machine)
        }
        #expect(first == [.tick, .readMarkers] && heard == [1] && machine.claims <= 28)
        // Its notice was lost; and it comes after all.
        let inMarker = tick(marker: Self.marker(1, real), &machine)
        let noticed = notice(real, &machine)
        #expect(inMarker.contains(.hole(5, wasHeard: false)) && noticed == [.hole(5, wasHeard: false)])
        let forged = (2...10_001).map { Self.hole(after: 1, upTo: $0) }
        _ = tick(marker: LogMarker(id: Self.id(1), ends: false, holes: forged), &machine)
        #expect(machine.claims <= 28)
    }
}
