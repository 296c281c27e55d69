// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import Testing

/// What was lost in silence, or told in vain, once: each of these was found by chaos or by a reader of `FeedMachine+Parting.swift`.
extension FeedMachineTests {
    /// - Parameter doubt: the ids between which it is.
    func report(_ newest: UInt64, since: UInt64, doubt: (UInt64, UInt64)? = nil) -> Said {
        report((newest, since), doubt: doubt)
    }

    func report(_ items: (UInt64, since: UInt64)..., doubt: (UInt64, UInt64)? = nil) -> Said {
        let id = Self.id
        return .report(
            HeardReport(
                items.map { .init(HeardEvent(topic, id($0.0), ends: false), since: id($0.since)) },
                doubt: doubt.flatMap { Doubt(after: id($0.0), upTo: id($0.1)) }))
    }

    @Test("A node that has heard nothing yet takes any data set for its own, and doubts none of its ids later")
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
}
