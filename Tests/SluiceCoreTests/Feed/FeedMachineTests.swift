// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import Testing

/// What chance is too unlikely to bring about in the model.
@Suite("The feed's machine")
struct FeedMachineTests {
    static let now = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
    static let time: UInt64 = 1_000_000
    let topic: Target
    let number = TargetNumber(1)

    init() throws {
        topic = try .topic("t")
    }

    static func id(_ offset: UInt64) -> EventID { EventID(time + offset, 0) }

    /// A machine that listens to the topic, and has had a reading since.
    func listening(heardOfTarget: Int = 0) -> FeedMachine {
        var limits = FeedMachine.Limits(event: heardOfTarget > 0 ? heardOfTarget : 10)
        limits.heldOfTarget = 500
        limits.heardOfTarget = heardOfTarget
        var machine = FeedMachine(limits: limits, wallClock: FeedMachineTests.time, now: FeedMachineTests.now)
        machine.connectionUp(now: FeedMachineTests.now)
        _ = machine.listen(to: topic, as: number, shard: 0)
        machine.wanted(topic, isConfirmed: false)
        _ = machine.confirmed(topic)
        machine.received(clock: FeedMachineTests.id(0), born: 1)
        _ = actions(&machine)
        return machine
    }

    func actions(_ machine: inout FeedMachine) -> [FeedAction] {
        var actions: [FeedAction] = []
        while let action = machine.next(now: FeedMachineTests.now) { actions.append(action) }
        return actions
    }

    func receive(_ id: EventID?, after previous: EventID? = nil, _ machine: inout FeedMachine) -> EventID? {
        let payload = ModelBroker.payload(Envelope(id: id, previous: previous))
        return payload.withUnsafeReadableBytes {
            machine.received($0, for: number, now: FeedMachineTests.now)?.id
        }
    }

    func slice(
        _ entries: [LogEntry], of read: FeedRead, marker: LogMarker? = nil, isLast: Bool = true
    ) -> Replay.Outcome {
        let page = LogPage(marker: marker, entries: entries, isLast: isLast)
        return .slice(LogSlice(LogSegment(page, after: read.request.after), isLast: isLast))
    }

    func entry(_ id: EventID, after previous: EventID?) -> LogEntry {
        LogEntry(id: id, previous: previous, event: Event(ByteBuffer(string: "x")))
    }

    /// The connection is lost and comes back, and the markers are read: the topic's newest event is `id`.
    ///
    /// - Returns: what the machine reads of the log.
    private func reconnect(_ machine: inout FeedMachine, marker id: EventID, born: UInt64 = 1) throws -> FeedRead {
        machine.connectionLost()
        _ = machine.confirmed(topic)
        machine.connectionUp(now: FeedMachineTests.now)
        let asked = actions(&machine).compactMap { if case .readMarkers(let read) = $0 { read } else { nil } }
        let marker = LogMarker(id: id, ends: false)
        machine.markers(
            ClockReading(clock: FeedMachineTests.id(8), born: born, markers: [marker]), of: try #require(asked.first),
            now: FeedMachineTests.now)
        let reads = actions(&machine).compactMap { if case .readLog(let read) = $0 { read } else { nil } }
        return try #require(reads.first)
    }

    @Test("An event that a repair has brought is not delivered again, however late the feed brings it")
    func repeated() throws {
        var machine = listening()
        let (one, two) = (FeedMachineTests.id(1), FeedMachineTests.id(9))
        let read = try reconnect(&machine, marker: one)
        machine.received(slice([entry(one, after: nil)], of: read), of: read, now: FeedMachineTests.now)
        let brought = actions(&machine).contains { if case .replay = $0 { true } else { false } }
        var live = [receive(one, &machine)]
        machine.received(clock: FeedMachineTests.id(9), born: 1)
        _ = actions(&machine)
        live.append(receive(one, &machine))
        live.append(receive(two, after: one, &machine))
        #expect(brought && live == [nil, nil, two])
    }

    @Test("A data set that was emptied under an open connection has lost nothing that had come: no gap after an outage")
    func flushed() throws {
        var machine = listening()
        let before = receive(FeedMachineTests.id(1), &machine)
        #expect(before != nil)
        machine.received(clock: FeedMachineTests.id(5), born: FeedMachineTests.time + 4)
        let read = try reconnect(&machine, marker: FeedMachineTests.id(7), born: FeedMachineTests.time + 4)
        machine.received(
            slice([entry(FeedMachineTests.id(7), after: nil)], of: read), of: read, now: FeedMachineTests.now)
        let gaps = actions(&machine).contains { if case .gap = $0 { true } else { false } }
        #expect(!gaps)
    }

    @Test("What was lost in silence before a reading is found after an outage, too")
    func silentBeforeOutage() throws {
        var machine = listening()
        let before = receive(FeedMachineTests.id(1), &machine)
        machine.received(clock: FeedMachineTests.id(5), born: 1)
        let read = try reconnect(&machine, marker: FeedMachineTests.id(7))
        #expect(before == FeedMachineTests.id(1) && read.request.after == FeedMachineTests.id(1))
    }

    @Test("A target that was confirmed and had no reading before the connection was lost is confirmed no more")
    func confirmedOnly() {
        var machine = FeedMachine(
            limits: .init(event: 10), wallClock: FeedMachineTests.time, now: FeedMachineTests.now)
        _ = machine.listen(to: topic, as: number, shard: 0)
        machine.wanted(topic, isConfirmed: true)
        let before = machine.coverage(of: topic)
        machine.connectionLost()
        #expect(before == .confirmed && machine.coverage(of: topic) == .unknown)
    }

    @Test("A target that is wanted again while the broker gives it up begins anew")
    func wantedAgain() {
        var machine = listening()
        let before = machine.coverage(of: topic)
        _ = machine.unlisten(to: topic, shard: 0)
        _ = machine.listen(to: topic, as: number, shard: 0)
        machine.wanted(topic, isConfirmed: false)
        #expect(before == .since(FeedMachineTests.id(0)) && machine.coverage(of: topic) == .unknown)
    }

    @Test("An answer that an earlier attempt had asked for begins nothing")
    func earlierAttempt() throws {
        var machine = listening()
        var asked: [MarkerRead] = []
        for _ in 0..<2 {
            machine.connectionLost()
            machine.connectionUp(now: FeedMachineTests.now)
            asked += actions(&machine).compactMap { if case .readMarkers(let read) = $0 { read } else { nil } }
        }
        let reading = ClockReading(
            clock: FeedMachineTests.id(8), born: 1, markers: [LogMarker(id: FeedMachineTests.id(7), ends: false)])
        machine.markers(reading, of: asked[0], now: FeedMachineTests.now)
        let early = actions(&machine).count
        machine.markers(reading, of: asked[1], now: FeedMachineTests.now)
        let due = actions(&machine).count { if case .readLog = $0 { true } else { false } }
        #expect(asked.count == 2 && early == 0 && due == 1)
    }

    @Test("What is held of one target is bounded: then a gap is told without a look into the log")
    func heldOfTarget() {
        var machine = listening()
        var delivered = 0
        var gaps = 0
        for number: UInt64 in 1...20 {
            _ = receive(FeedMachineTests.id(2 * number), after: FeedMachineTests.id(2 * number - 1), &machine)
            for action in actions(&machine) {
                if case .deliver = action { delivered += 1 }
                if case .gap = action { gaps += 1 }
            }
        }
        #expect(machine.heldBytes <= 600 && delivered > 10 && gaps > 0)
    }

    @Test("Targets that come and go while no reading comes leave nothing behind")
    func comeAndGo() throws {
        var machine = listening()
        _ = machine.unlisten(to: topic, shard: 0)
        machine.gone(topic)
        for number: UInt64 in 2..<1000 {
            let target = try Target.topic("t\(number)")
            _ = machine.listen(to: target, as: TargetNumber(number), shard: 0)
            machine.wanted(target, isConfirmed: true)
            _ = machine.unlisten(to: target, shard: 0)
            machine.gone(target)
        }
        let size = machine.size
        machine.received(clock: FeedMachineTests.id(5), born: 1)
        let isCovered = actions(&machine).contains { if case .covered = $0 { true } else { false } }
        #expect(!isCovered && size == 0)
    }

    @Test("A live-only event over the limit is dropped, and named; a logged one has passed another limit")
    func oversized() {
        var machine = listening()
        let payload = ByteBuffer(string: String(repeating: "x", count: 11))
        let envelope = payload.withUnsafeReadableBytes { machine.received($0, for: number, now: FeedMachineTests.now) }
        #expect(envelope == nil)
        let isNamed = actions(&machine).contains {
            if case .complain(.oversized(11), let about) = $0 { about == topic } else { false }
        }
        #expect(isNamed)
    }

    /// What the machine does with a message of so many bytes, at a time.
    private func bring(
        _ bytes: Int, at time: TimeAmount, _ machine: inout FeedMachine
    ) -> (isTaken: Bool, pause: TimeAmount?) {
        let now = FeedMachineTests.now + time
        let payload = ByteBuffer(repeating: UInt8(ascii: "x"), count: bytes)
        let isTaken = payload.withUnsafeReadableBytes { machine.received($0, for: number, now: now) != nil }
        let pauses = actions(&machine).compactMap { if case .pause(topic, let time) = $0 { time } else { nil } }
        return (isTaken, pauses.first)
    }

    @Test(
        "A target that brings too much is paused, and what is lost of it told; it comes back, and pauses grow while it goes on"
    )
    func pauses() {
        var machine = listening(heardOfTarget: 100)
        let within = (0..<20).map { bring(10, at: .milliseconds(100 * $0), &machine) }
        #expect(within.allSatisfy { $0.isTaken && $0.pause == nil })
        var time = TimeAmount.seconds(3)
        var pauses: [TimeAmount] = []
        for _ in 0..<6 {
            for _ in 0..<10 { #expect(bring(10, at: time, &machine).isTaken) }
            let over = bring(10, at: time, &machine)
            #expect(!over.isTaken)
            pauses += over.pause.map { [$0] } ?? []
            // What was on its way is dropped, and nothing looked for.
            _ = receive(FeedMachineTests.id(9), after: FeedMachineTests.id(8), &machine)
            #expect(actions(&machine).isEmpty)
            time = time + (pauses.last ?? .zero)
            _ = machine.confirmed(topic)
            #expect(actions(&machine).count { if case .gap = $0 { true } else { false } } == 1)
        }
        #expect(pauses == [5, 10, 20, 40, 60, 60].map { .seconds($0) })
        for _ in 0..<10 { _ = bring(10, at: time + .minutes(2), &machine) }
        #expect(bring(10, at: time + .minutes(2), &machine).pause == .seconds(5))
    }

    @Test("What was logged while a target was paused is read from its log once it is heard again, and not before")
    func afterPause() throws {
        var machine = listening(heardOfTarget: 100)
        _ = bring(100, at: .zero, &machine)
        #expect(bring(100, at: .zero, &machine).pause != nil)
        machine.received(clock: FeedMachineTests.id(5), born: 1)
        _ = actions(&machine)
        machine.tick(now: FeedMachineTests.now, wallClock: FeedMachineTests.time)
        let asked = actions(&machine).compactMap { if case .readMarkers(let read) = $0 { read } else { nil } }
        let newest = LogMarker(id: FeedMachineTests.id(2), ends: false)
        let answer = ClockReading(clock: FeedMachineTests.id(5), born: 1, markers: [newest])
        machine.markers(answer, of: try #require(asked.first), now: FeedMachineTests.now)
        #expect(actions(&machine).isEmpty)
        _ = machine.confirmed(topic)
        _ = actions(&machine)
        let later = FeedMachineTests.now + .seconds(5)
        let payload = ModelBroker.payload(Envelope(id: FeedMachineTests.id(7), previous: FeedMachineTests.id(6)))
        let envelope = payload.withUnsafeReadableBytes { machine.received($0, for: number, now: later) }
        let isRepaired = actions(&machine).contains { if case .complain(.lost, topic) = $0 { true } else { false } }
        #expect(envelope == nil && isRepaired)
    }
}
