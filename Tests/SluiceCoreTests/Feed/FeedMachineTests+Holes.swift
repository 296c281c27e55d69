// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import Testing

/// What was lost in silence, or told in vain, once: each of these was found by chaos or by a reader of `FeedMachine+Parting.swift`.
extension FeedMachineTests {
    func report(_ newest: UInt64, since: UInt64) -> Said {
        report((newest, since))
    }

    func report(_ items: (UInt64, since: UInt64)...) -> Said {
        let id = Self.id
        return .report(
            HeardReport(items.map { .init(HeardEvent(topic, id($0.0), ends: false), since: id($0.since)) }))
    }

    @Test("A node that has heard nothing yet takes any data set for its own, and reports nothing to the next one")
    func newNode() throws {
        var machine = FeedMachine(limits: .init(event: 10), wallClock: Self.time, now: Self.now)
        // A partition moves to another server just then.
        for runs in [Self.lineage(0), Self.lineage(0, 1)] {
            if runs != Self.lineage(0) { machine.connectionLost() }
            machine.connectionUp(now: Self.now)
            let asked = actions(&machine).compactMap { if case .readMarkers(let read) = $0 { read } else { nil } }
            machine.markers(
                ClockReading(clock: Self.id(1), born: 1, lineage: runs, markers: []),
                of: try #require(asked.first), now: Self.now)
            machine.release(now: Self.now)
            _ = actions(&machine)
        }
        machine.received(clock: Self.id(9), born: 1)
        machine.connectionLost()
        machine.connectionUp(now: Self.now)
        let asked = actions(&machine).compactMap { if case .readMarkers(let read) = $0 { read } else { nil } }
        machine.markers(
            ClockReading(clock: Self.id(20), born: 1, lineage: Self.lineage(0, 1, 9), markers: []),
            of: try #require(asked.first), now: Self.now)
        #expect(said(&machine).contains(.changed))
        machine.tick(now: Self.now, wallClock: Self.time)
        let isReported = said(&machine).contains { if case .report = $0 { true } else { false } }
        #expect(!isReported)
    }

    @Test("What the other data set has trimmed behind a hole that was heard is told")
    func trimmedBehindHole() throws {
        var machine = hearing()
        // 3 and 4 were published and trimmed there, and nobody here has heard them.
        let marker = Self.marker(6, Self.hole(after: 1, upTo: 5))
        let (_, read) = try part(marker: marker, &machine)
        let brought = try bring([6], after: 4, marker: marker, for: read, &machine)
        #expect(brought == [.gap(upTo: 4), .brought(6)])
    }

    @Test("A hole whose notice did not come is found in the marker, also if nothing came behind it")
    func missedNotice() {
        var machine = listening()
        let heard = hear([1, 2], after: 0, &machine)
        let said = [[], [Self.hole(after: 2, upTo: 5)]].map { holes in
            tick(marker: LogMarker(id: Self.id(2), ends: false, holes: holes), &machine)
        }
        #expect(heard == [1, 2] && said.map { $0.dropFirst(2) } == [[], [.hole(5, wasHeard: false)]])
    }

    @Test("A hole that a repair finds in the marker is told as one: streams may have read the log before it was known")
    func holeAtRepair() throws {
        var machine = listening()
        _ = tick(marker: Self.marker(1), lineage: Self.lineage(0), &machine)
        let heard = hear([1, 2], after: 0, &machine)
        let (said, _) = try connect(to: Self.lineage(0), marker: Self.marker(7, Self.hole(after: 2, upTo: 5)), &machine)
        #expect(heard == [1, 2] && said.contains(.hole(5, wasHeard: false)))
    }

    @Test("A hole that turns out to begin earlier is told again")
    func widened() {
        var machine = listening()
        let heard = hear([1, 2], after: 0, &machine)
        let said = [[], [4], [4], [2]].map { (starts: [UInt64]) in
            let holes = starts.map { Self.hole(after: $0, upTo: 5) }
            return tick(marker: LogMarker(id: Self.id(2), ends: false, holes: holes), &machine).dropFirst(2)
        }
        let told: [Said] = [.hole(5, wasHeard: false)]
        #expect(heard == [1, 2] && said.map { Array($0) } == [[], told, [], told])
    }

    @Test("Once it is repaired it says its place: who was given late events, and leaves, would get them again")
    func placeAfterRepair() throws {
        var machine = listening()
        let heard = hear([1, 2], after: 0, &machine)
        let (_, read) = try connect(to: Self.lineage(0), marker: Self.marker(5), &machine)
        let asked = try #require(read)
        machine.received(slice([entry(Self.id(5), after: Self.id(2))], of: asked), of: asked, now: Self.now)
        let readings = actions(&machine).compactMap { if case .reading(let reading, _) = $0 { reading } else { nil } }
        #expect(heard == [1, 2] && readings == [Self.id(8)])
    }

    @Test("Of two events of one target that the log seems to lack both are asked about")
    func twoStrays() {
        var machine = listening()
        var heard = hear([6, 8], after: 0, &machine)
        for (id, previous) in [(9, 6), (12, 9), (10, 9)] as [(UInt64, UInt64)] {
            heard += hear([id], after: previous, &machine)
        }
        machine.tick(now: Self.now, wallClock: Self.time)
        let said = self.said(&machine).filter { $0 != .readMarkers }
        #expect(heard == [6, 8, 9, 12, 10])
        #expect(said == [.tick, report((8, since: 7), (10, since: 9))])
    }

    @Test("What streams have read from the log is reported as well, and told to all who had it only from the feed")
    func readFromLog() throws {
        var machine = hearing()
        machine.read(Self.id(7), ends: false, of: topic, now: Self.now)
        let (said, read) = try part(&machine)
        #expect(said.contains(report((5, since: 1), (7, since: 1))))
        _ = try bring([3, 4], after: 1, for: read, &machine)
        let told = notice(Self.hole(after: 1, upTo: 7), &machine)
        #expect(told == [.hole(7, wasHeard: false)])
    }

    @Test("What was heard of a topic is reported from its first event on that the other data set lacks")
    func firstLost() throws {
        var machine = listening()
        _ = tick(lineage: Self.lineage(0), &machine)
        let heard = hear([1, 5, 6], after: 0, &machine)
        let (said, _) = try part(&machine)
        #expect(heard == [1, 5, 6] && said.contains(report(6, since: 4)))
    }

    @Test("Who has listened for a short while says from where on it has heard what the log lacks")
    func lateListener() {
        for (previous, since) in [(4, 7), (2, 2)] as [(UInt64, UInt64)] {
            var machine = FeedMachine(limits: .init(event: 10), wallClock: Self.time, now: Self.now)
            machine.connectionUp(now: Self.now)
            // A topic that is taken again has another number.
            let former = TargetNumber(99)
            for (taken, clock) in [(former, 0), (number, 5)] as [(TargetNumber, UInt64)] {
                _ = machine.listen(to: topic, as: taken, shard: 0)
                machine.wanted(topic, isConfirmed: false)
                _ = machine.confirmed(topic)
                machine.received(clock: Self.id(clock), born: 1)
                _ = actions(&machine)
                guard taken == former else { continue }
                let payload = ModelBroker.payload(Envelope(id: Self.id(3), previous: Self.id(0)))
                let first = payload.withUnsafeReadableBytes { machine.received($0, for: former, now: Self.now)?.id }
                #expect(first == Self.id(3))
                _ = machine.unlisten(to: topic, shard: 0)
                machine.gone(topic)
            }
            let heard = hear([8], after: 4, &machine) + hear([9], after: previous, &machine)
            let said = tick(&machine)
            #expect(heard == [8, 9] && said.contains(report(8, since: since)), "\(previous)")
        }
    }

    @Test("Which events a hole lacks is said if all of them were heard")
    func idsOfHole() {
        func ids(after: UInt64, upTo: UInt64) -> [EventID] {
            var machine = listening()
            _ = hear([3, 5, 6], after: 0, &machine)
            let payload = ModelBroker.notice(Self.hole(after: after, upTo: upTo))
            _ = payload.withUnsafeReadableBytes { machine.received($0, for: number, now: Self.now) }
            for case .hole(let hole, _, _, _) in actions(&machine) { return hole.ids }
            return []
        }
        #expect(ids(after: 3, upTo: 6) == [Self.id(5), Self.id(6)])
        #expect(ids(after: 2, upTo: 5) == [Self.id(3), Self.id(5)])
        #expect(ids(after: 3, upTo: 7) == [])
    }

    @Test("That an event follows on one that has not come is told, and what a hole lacks is not known any more")
    func chainOfAnother() {
        for (previous, isKnown) in [(6, true), (5, false)] as [(UInt64, Bool)] {
            var machine = listening()
            // 5 was given out while this node was away, and 8 behind it, beside 7.
            let heard = hear([3, 6, 7], after: 0, &machine) + hear([8], after: previous, &machine)
            let payload = ModelBroker.notice(Self.hole(after: 4, upTo: 8))
            _ = payload.withUnsafeReadableBytes { machine.received($0, for: number, now: Self.now) }
            var (ids, gaps) = ([EventID](), [EventID?]())
            for action in actions(&machine) {
                if case .hole(let hole, _, _, _) = action { ids = hole.ids }
                if case .gap(let gap, _) = action { gaps.append(gap.to) }
                // Whoever ends with it, or is cut off behind it, has been told.
                if case .deliver(let envelope, _, _) = action {
                    #expect(envelope.id == Self.id(8) && gaps == [Self.id(5)])
                }
            }
            #expect(heard == [3, 6, 7] + (isKnown ? [8] : []) && ids == (isKnown ? [6, 7, 8].map(Self.id) : []))
            #expect(gaps == (isKnown ? [] : [Self.id(5)]))
        }
    }

    @Test("What was heard of a topic that was let go of is not forgotten for what was read of its log later")
    func formerly() throws {
        var machine = listening()
        _ = tick(lineage: Self.lineage(0), &machine)
        let heard = hear([6], after: 0, &machine)
        for read in [nil, 3] as [UInt64?] {
            if let read { machine.read(Self.id(read), ends: false, of: topic, now: Self.now) }
            _ = machine.unlisten(to: topic, shard: 0)
            machine.gone(topic)
            _ = machine.listen(to: topic, as: number, shard: 0)
            machine.wanted(topic, isConfirmed: false)
            _ = machine.confirmed(topic)
        }
        let (said, _) = try part(&machine)
        #expect(heard == [6] && said.contains(report(6, since: 1)))
    }

    @Test("Forged notices of holes make a node look only so often through what it has heard")
    func forgedSearches() {
        var machine = listening()
        let heard = hear([3, 5, 6], after: 0, &machine)
        func known() -> Int {
            (0..<1000).reduce(into: 0) { count, index in
                let hole = Hole(from: .zero, after: EventID(Self.time + 4, UInt64(index)), upTo: Self.id(6))
                let payload = ModelBroker.notice(hole)
                _ = payload.withUnsafeReadableBytes { machine.received($0, for: number, now: Self.now) }
                for case .hole(let hole, _, _, _) in actions(&machine) where !hole.ids.isEmpty { count += 1 }
            }
        }
        let first = known()
        machine.tick(now: Self.now, wallClock: Self.time)
        _ = actions(&machine)
        let second = known()
        #expect(heard == [3, 5, 6] && first == 256 && second == 256)
    }

    @Test("Before streams are told a place in another data set there is time, once, for what others say that it lacks")
    func timeForReports() throws {
        var machine = hearing()
        machine.connectionLost()
        _ = machine.confirmed(topic)
        machine.connectionUp(now: Self.now)
        var waits: [NIODeadline] = []
        var readable: [Int] = []
        var told: [Said] = []
        var all = actions(&machine)
        // Each time another process has answered.
        for look in 1...3 {
            let runs = (0...UInt64(look)).map { Lineage.Run($0, found: Self.id($0)) }
            let holes = look > 1 ? [Self.hole(after: 1, upTo: 7)] : []
            let reading = ClockReading(
                clock: Self.id(8), born: 1, lineage: Lineage(runs),
                markers: [LogMarker(id: Self.id(4), ends: false, holes: holes)])
            for case .readMarkers(let read) in all { machine.markers(reading, of: read, now: Self.now) }
            all = actions(&machine)
            told += all.compactMap { Said($0) }.filter { if case .hole = $0 { true } else { false } }
            for action in all {
                if case .readable = action { readable.append(look) }
                guard case .wake(let attempt, let time) = action else { continue }
                waits.append(time)
                // It comes over the feed, too, and is held back.
                _ = notice(Self.hole(after: 1, upTo: 7), &machine)
                machine.woken(attempt, now: time)
            }
            all += actions(&machine)
        }
        #expect(waits == [Self.now + .milliseconds(400)] && readable == [2])
        for case .readLog(let read) in all { machine.received(slice([], of: read), of: read, now: Self.now) }
        told += said(&machine).filter { if case .hole = $0 { true } else { false } }
        #expect(told == [.hole(7, wasHeard: false)])
    }

    @Test("The lineage is told to streams when it is known and when it changes, before they may read its logs")
    func lineageTold() throws {
        var machine = listening()
        func told(_ actions: [FeedAction]) -> [Lineage] {
            actions.compactMap { if case .lineage(let lineage) = $0 { lineage } else { nil } }
        }
        for (lineage, expected) in [
            (Lineage(), nil), (Self.lineage(0), Self.lineage(0)), (Self.lineage(0), nil), (Lineage(), nil),
            (Self.lineage(0, 1), Self.lineage(0, 1)),
        ] as [(Lineage, Lineage?)] {
            machine.tick(now: Self.now, wallClock: Self.time)
            let reading = ClockReading(clock: Self.id(8), born: 1, lineage: lineage, markers: [nil])
            for case .readMarkers(let read) in actions(&machine) { machine.markers(reading, of: read, now: Self.now) }
            #expect(told(actions(&machine)) == [expected].compactMap(\.self))
        }
        machine.connectionLost()
        _ = machine.confirmed(topic)
        machine.connectionUp(now: Self.now)
        let reading = ClockReading(clock: Self.id(8), born: 1, lineage: Self.lineage(0, 1, 4), markers: [nil])
        var after = actions(&machine)
        for round in 0...1 {
            for case .readMarkers(let read) in after { machine.markers(reading, of: read, now: Self.now) }
            after = actions(&machine)
            guard round == 0 else { break }
            for case .wake(let attempt, _) in after { machine.woken(attempt, now: Self.now) }
            after = actions(&machine)
        }
        let isTold = after.firstIndex { if case .lineage(Self.lineage(0, 1, 4)) = $0 { true } else { false } }
        let isReadable = after.firstIndex { if case .readable = $0 { true } else { false } }
        #expect(try #require(isTold) < #require(isReadable))
    }

    @Test("What was told to be lost is read after all where a failover is undone: the former master has it")
    func undone() throws {
        var machine = listening()
        _ = tick(lineage: Self.lineage(0), &machine)
        let heard = hear([1, 2], after: 0, &machine)
        let (_, nothing) = try connect(to: Self.lineage(0, 2), marker: Self.marker(2), &machine)
        let told = notice(Self.hole(after: 2, upTo: 5), &machine)
        #expect(heard == [1, 2] && nothing == nil && told == [.hole(5, wasHeard: false)])
        let (_, read) = try connect(to: Self.lineage(0), marker: Self.marker(5), &machine)
        let brought = try bring([4, 5], after: 2, for: read, &machine)
        #expect(brought == [.brought(4), .brought(5)])
    }
}
