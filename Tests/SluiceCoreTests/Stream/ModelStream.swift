// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import Testing

/// One stream whose machine is the product's own. Its socket takes a random number of events; what it writes is compared
/// with what the model of the feed knows to be true.
final class ModelStream {
    private enum Item {
        case event(EventID, isLate: Bool)
        case liveOnly(UInt64)
        case gap(Gap, id: EventID?)
        case checkpoint(EventID)

        /// What the client takes for its place.
        var id: EventID? {
            switch self {
            case .event(let id, let isLate): isLate ? nil : id
            case .liveOnly: nil
            case .gap(_, let id): id
            case .checkpoint(let id): id
            }
        }
    }

    static let limits = StreamMachine.Limits(heartbeat: .seconds(15), checkpoint: .seconds(40), stall: .seconds(300))

    var machine: StreamMachine
    private unowned let model: NodeModel
    private let mine: Set<Int>
    private let resume: Resume
    private let hasCheckpoints: Bool
    private var isReadingAsked = false
    var room: Int
    /// Where each queued write ends: they go out one after the other.
    private(set) var queued = 0

    // What a client of it would see, and what it makes of that.
    /// Everything later is its own; nil: it has not begun.
    private(set) var beginning: EventID?
    private var liveFrom: UInt64?
    private var seen: Set<EventID> = []
    private var seenLiveOnly: Set<UInt64> = []
    private var toldLiveOnly: Set<UInt64> = []
    private var gaps: [Gap] = []
    private var isUncertain = false
    /// The last event id that the client has.
    private(set) var cursor = EventID.zero
    /// Up to where it has read logs.
    private var marks: Set<EventID> = []
    private(set) var overruns = 0
    private(set) var faults: [String] = []

    init(_ model: NodeModel, mine: Set<Int>, resume: Resume, hasCheckpoints: Bool, room: Int) {
        self.model = model
        self.mine = mine
        self.resume = resume
        self.hasCheckpoints = hasCheckpoints
        self.room = room
        machine = StreamMachine(now: model.now, expiry: nil, resume: resume, hasCheckpoints: hasCheckpoints)
        if case .after(let id) = resume { cursor = id.id }
    }

    func open() {
        for target in mine where !model.known[target].isConfirmed { machine.waits() }
        machine.opened(targets)
        confirmed()
    }

    func listens(_ target: Int) -> Bool { mine.contains(target) }

    var targets: StreamTargets {
        var targets = StreamTargets()
        for target in mine.sorted() { targets.add(NodeModel.targets[target], model.known[target]) }
        return targets
    }

    private var areTopicsOver: Bool {
        mine != [2]
            && mine.allSatisfy { target in
                if case .ended = model.known[target].end { true } else { target == 2 }
            }
    }

    private func fail(_ problem: String) { faults.append(problem) }

    // MARK: What its shard does

    func confirmed() {
        guard machine.confirmed() else { return }
        liveFrom = model.feed.ring.end
        perform(machine.begin(model.feed, targets, replayBytes: 1 << 12, now: model.now))
    }

    func received(reading: EventID) {
        guard isReadingAsked else { return }
        isReadingAsked = false
        if let action = machine.begin(
            reading: reading, model.feed, targets, replayBytes: model.chance(1, in: 2) ? 1 : 1 << 12, now: model.now)
        {
            perform(action)
        }
    }

    private func perform(_ action: StreamMachine.StartAction) {
        switch action {
        case .askForReading: isReadingAsked = true
        case .refuse, .finish:
            if !areTopicsOver || (resume != .fresh && resume != .malformed && cursor < targets.end) { fail("refused") }
            machine.end()
        case .start(let gap, let checkpoint):
            _ = machine.takeHead()
            begin()
            if let gap { send([.gap(gap, id: gap.to)]) }
            if let checkpoint { send([.checkpoint(checkpoint.id)]) }
            advance()
        }
    }

    /// What the stream owes its client from here on.
    private func begin() {
        switch resume {
        case .after(let id) where machine.floor == id.id: beginning = id.id
        case .earliest, .available: beginning = .zero
        case .fresh, .malformed, .after: beginning = beginning ?? machine.floor
        }
        isUncertain = resume == .malformed || cursor > machine.floor
        cursor = min(cursor, machine.floor)
    }

    func deliver(_ batch: Batch) {
        guard machine.isLive else { return }
        write(batch, from: batch.position)
    }

    private func write(_ batch: Batch, from position: UInt64) {
        let wanted = machine.wanted
        var selected: [(item: Item, index: UInt64, entry: Batch.Entry)] = []
        for (index, entry) in batch.entries.enumerated() where mine.contains(Int(entry.target.rawValue)) {
            let at = batch.position + UInt64(index)
            guard at >= position, wanted.contains(entry, at: at) else { continue }
            let item: Item = entry.id == .zero ? .liveOnly(at) : .event(entry.id, isLate: entry.isLate)
            selected.append((item, at, entry))
        }
        guard let last = selected.last else { return }
        let isWhole = selected.count <= room
        let out = isWhole ? selected[...] : selected[...room]
        room = isWhole ? room - selected.count : 0
        for one in out { show(one.item) }
        machine.wrote(
            upTo: out.map(\.entry.id).max() ?? .zero,
            hasLate: out.contains { $0.entry.isLate }, now: model.now)
        guard !isWhole else { return }
        machine.fellBehind(at: (out.last ?? last).index + 1, now: model.now)
        queued += 1
    }

    /// Lines of the gateway's own: if the socket is full, they wait in the channel.
    private func send(_ items: [Item]) {
        for item in items {
            show(item)
            if room > 0, queued == 0 {
                room -= 1
            } else {
                machine.blocked(ringEnd: model.feed.ring.end, now: model.now)
                queued += 1
            }
        }
    }

    func advance() {
        var gathered: [Item] = []
        for _ in 0..<100_000 {
            switch machine.next(model.feed, end: targets.end, now: model.now) {
            case .wait:
                if !gathered.isEmpty, !machine.isBlocked { fail("waits with \(gathered)") }
                return
            case .event(let entry, _):
                if gathered.count >= 3 { flush(&gathered) }
                if machine.isBlocked { return }
                gathered.append(.event(entry.id, isLate: false))
            case .gap(let gap, let id): gathered.append(.gap(gap, id: id))
            case .flush: flush(&gathered)
            case .read(let requests, let run):
                marks.insert(run.mark)
                model.read(requests, for: self, run)
            case .replayed: break
            case .write(let position):
                guard let batch = model.feed.ring.batch(at: position) else { return fail("\(position) is not there") }
                machine.read(upTo: batch.end)
                write(batch, from: position)
                // A shard gives the others a turn, and comes back.
                if model.chance(1, in: 4) { return }
            case .overrun(let position):
                overruns += 1
                let floor = machine.floor
                let lost = mine.sorted().filter { model.known[$0].isLost(from: position, floor: floor) }
                machine.refill(model.feed, targets, replayBytes: 1 << 12)
                if !lost.isEmpty {
                    send([.gap(Gap(from: nil, to: nil, targets: lost.map { NodeModel.targets[$0] }), id: nil)])
                }
            case .tell(let gap): send([.gap(gap, id: nil)])
            case .checkpoint(let cursor): send([.checkpoint(cursor.id)])
            case .finish: return finish()
            }
        }
        fail("has no end")
    }

    private func flush(_ gathered: inout [Item]) {
        let isWhole = gathered.count <= room
        let out = isWhole ? gathered[...] : gathered[...room]
        room = isWhole ? room - gathered.count : 0
        for item in out { show(item) }
        machine.replayed(out.count, upTo: out.compactMap(\.id).max() ?? .zero, now: model.now)
        gathered = []
        guard !isWhole else { return }
        machine.blocked(ringEnd: model.feed.ring.end, now: model.now)
        queued += 1
    }

    func received(_ slice: LogSlice, _ lane: Int, _ run: Replaying) {
        if machine.received(slice, lane: lane, of: run) == .proceed { advance() }
    }

    /// - Returns: whether to ask again.
    func failed(_ lane: Int, _ run: Replaying) -> Bool {
        machine.failed(lane: lane, of: run) == .askLater
    }

    func retry(_ run: Replaying) {
        machine.askAgain(run)
        advance()
    }

    func unblock(room: Int) {
        self.room = room
        while queued > 0 {
            queued -= 1
            if machine.unblocked(now: model.now) { advance() }
            if self.room == 0 { return }
        }
        advance()
    }

    func tick() {
        if let cursor = machine.read(clock: model.feed.clock, now: model.now) { send([.checkpoint(cursor.id)]) }
        finishIfOver()
    }

    func tell(_ gap: Gap, id: EventID?) {
        if case .tell(let id) = machine.gap(gap, id: id, now: model.now) { send([.gap(gap, id: id)]) }
    }

    func wake() {
        let (action, next) = machine.wake(now: model.now, clock: model.feed.clock, limits: ModelStream.limits)
        switch action {
        case .sleep, .heartbeat: break
        case .head:
            _ = machine.takeHead()
            if resume == .fresh, model.feed.clock > .zero { beginning = model.feed.clock }
        case .checkpoint(let cursor): send([.checkpoint(cursor.id)])
        case .stalled: end()
        case .expired: fail("expired")
        }
        if next <= model.now { fail("a look at the same time would never end") }
    }

    func finishIfOver() {
        if machine.isFinished(newest: model.feed.newest, end: targets.end) { finish() }
    }

    private func finish() {
        if mine.contains(where: { $0 != 2 && model.markers[$0]?.ends != true }) { return end() }
        compare(upTo: .max, "finished")
        machine.end()
    }
}

extension ModelStream {
    // MARK: What its client sees

    private func show(_ item: Item) {
        switch item {
        case .event(let id, let isLate):
            if !seen.insert(id).inserted { fail("\(id) twice") }
            if id <= beginning ?? .max { fail("\(id) is from before \(String(describing: beginning))") }
            if !isLate { move(to: id) }
        case .liveOnly(let position):
            if !seenLiveOnly.insert(position).inserted { fail("live \(position) twice") }
            if position < liveFrom ?? .max { fail("live \(position) is from before \(String(describing: liveFrom))") }
        case .gap(let gap, let id):
            check(gap)
            gaps.append(gap)
            // What it tells without ids is what was before here.
            if gap.to == nil {
                gaps.append(Gap(from: nil, to: machine.floor, targets: gap.targets))
                for (position, target) in model.liveOnly where gap.targets.contains(NodeModel.targets[target]) {
                    toldLiveOnly.insert(position)
                }
            }
            if let id { move(to: id) }
        case .checkpoint(let id):
            if !hasCheckpoints { fail("a checkpoint") }
            move(to: id)
            compare(upTo: id, "checkpoint", withLate: false)
        }
    }

    private func move(to id: EventID) {
        if id < cursor { fail("the cursor goes back from \(cursor) to \(id)") }
        cursor = id
    }

    private func isTold(_ event: NodeModel.Published) -> Bool {
        gaps.contains { tells($0, of: event) }
    }

    private func tells(_ gap: Gap, of event: NodeModel.Published) -> Bool {
        guard let to = gap.to, event.id <= to, event.id > gap.from ?? .zero else { return false }
        return gap.targets.contains(NodeModel.targets[event.target])
    }

    /// A gap tells of something that is lost, and that the client does not have.
    private func check(_ gap: Gap) {
        if isUncertain {
            isUncertain = false
            return
        }
        guard let to = gap.to else {
            if overruns == 0 { fail("\(gap) without an overrun") }
            return
        }
        // What a data set that went back lacks is not known.
        if (gap.from ?? .zero) < EventID(model.born, 0), model.born > 1 { return }
        for target in gap.targets where !gaps.contains(where: { $0.to == nil }) {
            let isTrue = model.history.contains {
                NodeModel.targets[$0.target] == target && $0.isGone
                    && $0.id > max(gap.from ?? .zero, beginning ?? .zero)
                    // What the newest of an empty log were cannot be known, if they are later than the mark.
                    && ($0.id <= to || marks.contains(to)) && !seen.contains($0.id)
            }
            if !isTrue { fail("\(gap) is false for \(target)") }
        }
    }

    /// The client has everything up to an id, or knows what it lacks.
    ///
    /// - Parameter withLate: also what the node itself has got late.
    func compare(upTo id: EventID, _ occasion: String, withLate: Bool = true) {
        guard let beginning else { return }
        for event in model.history.reversed() {
            if event.id <= beginning { break }
            guard event.id <= id, mine.contains(event.target), !seen.contains(event.id), !isTold(event) else {
                continue
            }
            if model.isMissing(event) || (event.isLate && !withLate) { continue }
            if event.id <= marks.min() ?? .zero {
                if resume == .available, event.isGone { continue }
                // Who had nothing does not know of it.
                if resume == .earliest, event.isUndone { continue }
                // What went to everybody is no part of it.
                if resume == .available || resume == .earliest, event.target == 2, mine.count > 1 { continue }
            }
            fail("\(occasion): \(event.id) of \(NodeModel.targets[event.target]) is missing up to \(id)")
        }
    }

    /// Nothing is under way any more.
    func compareAll() {
        compare(upTo: .max, "at rest")
        guard let liveFrom else { return }
        for (position, target) in model.liveOnly
        where position >= liveFrom && mine.contains(target)
            && !seenLiveOnly.contains(position) && !toldLiveOnly.contains(position)
        {
            fail("live \(position) is missing")
        }
    }

    /// The connection ends. That something is lost from before its cursor, as of late events, it may not have heard yet.
    func end() {
        if let owed = machine.owed { gaps.append(owed) }
        compare(upTo: cursor, "ended", withLate: false)
        machine.end()
    }
}
