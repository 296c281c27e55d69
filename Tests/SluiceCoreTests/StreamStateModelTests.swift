// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import TestSupport
import Testing

/// One stream, driven as a shard drives it, with a socket that takes a random number of events.
private struct StreamModel {
    struct Out: Equatable {
        let position: UInt64
        let id: EventID
        /// Goes out without its id.
        let isLate: Bool
    }

    var generator: SeededGenerator
    var builder = BatchBuilder()
    var ring: Ring
    var state: StreamState
    var clock = EventID.zero
    var now = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
    var room = 0
    var nextID: UInt64 = 1
    var feed: [(position: UInt64, target: UInt64, id: EventID, isLate: Bool)] = []
    var written: [Out] = []
    /// Ids in the order in which the client sees them: of events and of checkpoints.
    var cursors: [EventID] = []
    var began: (floor: EventID, position: UInt64)?
    var isOver = false
    var fallsBehind = 0
    let limits = StreamState.Limits(heartbeat: .seconds(15), checkpoint: .seconds(40), stall: .seconds(300))

    init(seed: UInt64, ringBytes: Int) {
        generator = SeededGenerator(seed: seed)
        ring = Ring(sizeMax: ringBytes)
        state = StreamState(now: now, expiry: nil)
    }

    static func listens(_ target: UInt64) -> Bool { target < 3 }

    mutating func publish() {
        for _ in 0..<Int.random(in: 1...6, using: &generator) {
            let target = UInt64.random(in: 0..<5, using: &generator)
            var id: EventID?
            switch Int.random(in: 0..<10, using: &generator) {
            case 0, 1: id = nil
            case 2: id = EventID(UInt64.random(in: 1...nextID, using: &generator), 0)
            default:
                nextID += UInt64.random(in: 1...3, using: &generator)
                id = EventID(nextID, 0)
            }
            builder.add(id, to: target)
        }
        if Bool.random(using: &generator) { builder.raise(clock: EventID(nextID, 0)) }
        guard let batch = builder.finish() else { return }
        for (index, entry) in batch.entries.enumerated() {
            feed.append((batch.position + UInt64(index), entry.target.rawValue, entry.id, entry.isLate))
        }
        ring.append(batch) { _ in }
        clock = max(clock, batch.clock)
        if state.isLive { write(batch, from: batch.position) }
    }

    mutating func begin() {
        guard state.phase == .opening else { return }
        // The mark is read from Redis' clock and may be ahead of what has arrived.
        let mark = max(clock, EventID(nextID + UInt64.random(in: 0...4, using: &generator), 0))
        let back = UInt64.random(in: 0...min(4, ring.end - ring.start), using: &generator)
        state.begin(after: mark, at: ring.end - back, now: now)
        began = (mark, ring.end - back)
        cursors.append(mark)
        catchUp()
    }

    mutating func write(_ batch: Batch, from position: UInt64) {
        var selected: [Out] = []
        for (index, entry) in batch.entries.enumerated() {
            let at = batch.position + UInt64(index)
            guard at >= position, StreamModel.listens(entry.target.rawValue), state.wants(entry, at: at) else {
                continue
            }
            selected.append(Out(position: at, id: entry.id, isLate: entry.isLate))
        }
        guard let last = selected.last else { return }
        if selected.count <= room {
            room -= selected.count
            send(selected)
            return
        }
        // The event that was begun is finished by the channel.
        let cut = selected[...room]
        fallsBehind += 1
        room = 0
        send(Array(cut))
        state.fellBehind(at: (cut.last ?? last).position + 1, now: now)
    }

    mutating func send(_ events: [Out]) {
        written += events
        let carried = events.filter { $0.id != .zero && !$0.isLate }.map(\.id)
        cursors += carried
        state.wrote(upTo: carried.max() ?? .zero, now: now)
    }

    mutating func catchUp() {
        while case .read(let position) = state.next(ringStart: ring.start, ringEnd: ring.end),
            let batch = ring.batch(at: position)
        {
            state.read(upTo: batch.end)
            write(batch, from: position)
            // A shard gives the others a turn, and comes back.
            if Int.random(in: 0..<4, using: &generator) == 0 { return }
        }
        if state.next(ringStart: ring.start, ringEnd: ring.end) == .overrun {
            state.end()
            isOver = true
        }
    }

    mutating func unblock() {
        room = Int.random(in: 0...12, using: &generator)
        if state.isBlocked { state.unblocked(now: now) }
        catchUp()
    }

    mutating func wake() {
        now = now + .seconds(Int64.random(in: 1...30, using: &generator))
        guard state.phase != .opening else { return }
        let (action, next) = state.wake(now: now, clock: clock, limits: limits)
        switch action {
        case .checkpoint(let cursor):
            cursors.append(cursor.id)
            if Int.random(in: 0..<3, using: &generator) == 0 { state.blocked(ringEnd: ring.end, now: now) }
        case .stalled, .expired:
            state.end()
            isOver = true
        case .sleep, .heartbeat: break
        }
        #expect(next > now || state.phase == .ended, "a look at the same time would never end")
    }

    mutating func step() {
        switch Int.random(in: 0..<10, using: &generator) {
        case 0..<5: publish()
        case 5: begin()
        case 6, 7: unblock()
        case 8: catchUp()
        default: wake()
        }
    }

    /// What the stream has to get: everything of its targets from its starting point on.
    var expected: [Out] {
        guard let began else { return [] }
        return feed.filter {
            $0.position >= began.position && StreamModel.listens($0.target) && ($0.id == .zero || $0.id > began.floor)
        }.map { Out(position: $0.position, id: $0.id, isLate: $0.isLate) }
    }
}

@Suite("StreamState, driven as a shard drives it")
struct StreamStateModelTests {
    @Test(
        "a stream with a slow socket gets each event of its targets once, in the feed's order, and its cursor never goes back",
        arguments: 0..<40 as Range<UInt64>)
    func deliversEachOnce(_ seed: UInt64) {
        var model = StreamModel(seed: seed, ringBytes: 1 << 24)
        for _ in 0..<200 { model.step() }
        model.begin()
        while !model.isOver, !model.state.isLive { model.unblock() }
        model.room = .max
        model.publish()
        #expect(model.isOver || model.written == model.expected)
        #expect(model.expected.starts(with: model.written))
        #expect(zip(model.cursors, model.cursors.dropFirst()).allSatisfy { $0 < $1 }, "\(model.cursors)")
        #expect(model.fallsBehind > 0, "the socket must have been full")
    }

    @Test(
        "a stream that the ring has passed is told so, after a whole prefix of what it should get",
        arguments: 0..<20 as Range<UInt64>)
    func overrun(_ seed: UInt64) {
        var model = StreamModel(seed: seed, ringBytes: 8000)
        model.publish()
        model.begin()
        var steps = 0
        while !model.isOver, steps < 3000 {
            model.step()
            steps += 1
            if steps % 100 == 0 { for _ in 0..<30 { model.publish() } }
        }
        #expect(model.isOver)
        #expect(model.expected.starts(with: model.written))
        #expect(zip(model.cursors, model.cursors.dropFirst()).allSatisfy { $0 < $1 })
    }
}
