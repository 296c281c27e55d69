// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import Testing

/// One stream whose machine is the product's own. Its socket takes a random number of events; what it writes is compared
/// with what the model of the feed knows to be true (`ModelClient.swift`).
final class ModelStream {
    static let limits = StreamMachine.Limits(heartbeat: .seconds(15), checkpoint: .seconds(40), stall: .seconds(300))

    var machine: StreamMachine
    private unowned let model: NodeModel
    let client: ModelClient
    private let mine: Set<Int>
    private let resume: Resume
    private var readingsAsked = PartitionSet()
    var room: Int
    /// Where each queued write ends: they go out one after the other.
    private(set) var queued = 0

    init(_ model: NodeModel, mine: Set<Int>, resume: Resume, hasCheckpoints: Bool, room: Int) {
        self.model = model
        self.mine = mine
        self.resume = resume
        self.room = room
        client = ModelClient(model, mine: mine, resume: resume, hasCheckpoints: hasCheckpoints)
        machine = StreamMachine(
            now: model.now, expiry: nil, resume: resume, hasCheckpoints: hasCheckpoints,
            partitions: PartitionSet(mine.map { PartitionSet(model.partition($0)) }))
    }

    func open() {
        for target in mine where !model.known[target].isConfirmed { machine.waits(in: model.partition(target)) }
        machine.opened(targets)
        if machine.named() { begin() }
    }

    func listens(_ target: Int) -> Bool { mine.contains(target) }

    private var partitions: Set<Partition> { Set(mine.map { model.partition($0) }) }

    var targets: StreamTargets {
        var targets = StreamTargets()
        for target in mine.sorted() {
            targets.add(NodeModel.targets[target], model.known[target], in: model.partition(target))
        }
        return targets
    }

    private func isWaiting(_ partition: Partition) -> Bool {
        [.confirming, .awaitingReading].contains(machine.phase(in: partition))
    }

    private func fail(_ problem: String) { client.faults.append(problem) }

    // MARK: What its shard does

    func confirmed(_ partition: Partition) {
        if machine.confirmed(in: partition) { begin() }
    }

    private func begin() {
        change { $0.begin(model.feed, targets, replayBytes: 1 << 12, now: model.now) }
    }

    /// Those that begin to listen with this input do so at the ring's end.
    private func change(_ input: (inout StreamMachine) -> StreamMachine.StartAction?) {
        let waiting = partitions.filter { machine.phase(in: $0) == .confirming }
        let action = input(&machine)
        for partition in waiting where machine.phase(in: partition) != .confirming {
            client.liveFrom[partition] = model.feed.ring.end
        }
        if let action { perform(action) }
    }

    func received(reading: EventID, of partition: Partition) {
        guard readingsAsked.remove(PartitionSet(partition)) != nil else { return }
        let bytes = model.chance(1, in: 2) ? 1 : 1 << 12
        change { $0.begin(reading: reading, of: partition, model.feed, targets, replayBytes: bytes, now: model.now) }
    }

    func readingFailed(of partition: Partition) {
        guard readingsAsked.contains(PartitionSet(partition)) else { return }
        change { $0.readingFailed(of: partition, model.feed, targets, replayBytes: 1 << 12, now: model.now) }
    }

    private func perform(_ action: StreamMachine.StartAction) {
        switch action {
        case .askForReading(let partitions): readingsAsked.formUnion(partitions)
        case .refuse, .finish:
            client.refused(targets)
            machine.end()
        case .start(let gaps, let checkpoint):
            _ = machine.takeHead()
            for partition in partitions {
                switch machine.phase(in: partition) {
                case .replaying, .reading, .live:
                    client.begins(partition, floor: machine.floor(in: partition), start: machine.start(in: partition))
                default: if isWaiting(partition) { client.promised(partition) }
                }
            }
            for gap in gaps { send([.gap(gap, id: checkpoint)]) }
            if let checkpoint { send([.checkpoint(checkpoint)]) }
            advance()
        }
    }

    func deliver(_ batch: Batch) {
        guard partitions.contains(batch.partition), let taking = machine.takes(batch) else { return }
        write(batch, from: batch.position, place: taking.place)
    }

    private func write(_ batch: Batch, from position: UInt64, place: Cut?) {
        let wanted = machine.wanted(in: batch.partition)
        var selected: [(item: ModelClient.Item, index: UInt64, entry: Batch.Entry)] = []
        for (index, entry) in batch.entries.enumerated() where mine.contains(Int(entry.target.serial)) {
            let at = batch.position + UInt64(index)
            guard at >= position, wanted.contains(entry, at: at) else { continue }
            selected.append((item(entry, at: at, of: batch, place), at, entry))
        }
        guard let last = selected.last else { return }
        let isWhole = selected.count <= room
        let out = isWhole ? selected[...] : selected[...room]
        room = isWhole ? room - selected.count : 0
        for one in out { client.show(one.item, floor: machine.floor(in: batch.partition)) }
        machine.wrote(
            upTo: out.map(\.entry.id).max() ?? .zero, in: batch.partition, place: place ?? batch.cut,
            hasLate: out.contains { $0.entry.isLate }, now: model.now)
        guard !isWhole else { return }
        machine.fellBehind(
            at: (out.last ?? last).index + 1, in: batch.partition, ringEnd: model.feed.ring.end, now: model.now)
        queued += 1
    }

    private func item(_ entry: Batch.Entry, at position: UInt64, of batch: Batch, _ place: Cut?) -> ModelClient.Item {
        if entry.id == .zero { return .liveOnly(position) }
        if entry.isLate { return .event(entry.id, cursor: nil) }
        let own = place.map { Cursor($0.with(entry.id, in: batch.partition), at: batch.partition) }
        guard let cursor = own ?? Self.cursor(entry.frame, in: batch.buffer) else {
            fail("the frame of \(entry.id) has no cursor")
            return .event(entry.id, cursor: nil)
        }
        return .event(entry.id, cursor: cursor)
    }

    /// What the frame's own bytes say.
    private static func cursor(_ frame: Frame, in buffer: ByteBuffer) -> Cursor? {
        let block = buffer.getString(at: frame.block.lowerBound, length: frame.block.count) ?? ""
        let line = block.prefix { $0 != "\n" }
        return line.hasPrefix("id: ") ? Cursor(line.dropFirst(4)) : nil
    }

    /// Lines of the gateway's own: if the socket is full, they wait in the channel.
    private func send(_ items: [ModelClient.Item]) {
        for item in items {
            client.show(item, floor: floor(of: item))
            if room > 0, queued == 0 {
                room -= 1
            } else {
                machine.blocked(ringEnd: model.feed.ring.end, now: model.now)
                queued += 1
            }
        }
    }

    private func floor(of item: ModelClient.Item) -> EventID {
        guard case .gap(let gap, _) = item, let target = gap.targets.first,
            let index = NodeModel.targets.firstIndex(of: target)
        else { return .zero }
        return machine.floor(in: model.partition(index))
    }

    func advance() {
        var gathered: [ModelClient.Item] = []
        for _ in 0..<100_000 {
            switch machine.next(model.feed, targets: targets, now: model.now) {
            case .wait:
                if !gathered.isEmpty, !machine.isBlocked { fail("waits with \(gathered)") }
                return
            case .event(let entry, _, let cursor):
                if gathered.count >= 3 { flush(&gathered) }
                if machine.isBlocked { return }
                gathered.append(.event(entry.id, cursor: cursor ?? Cursor(entry.id)))
            case .gap(let gap, let id): gathered.append(.gap(gap, id: id))
            case .flush: flush(&gathered)
            case .read(let requests, let run):
                client.marks[run.partition, default: []].insert(run.mark)
                model.read(requests, for: self, run)
            case .replayed: break
            case .write(let position):
                guard let batch = model.feed.ring.batch(at: position) else { return fail("\(position) is not there") }
                let place = machine.placeBefore(batch)
                machine.read(upTo: batch.end)
                write(batch, from: position, place: place)
                // A shard gives the others a turn, and comes back.
                if model.chance(1, in: 4) { return }
            case .overrun(let position, let partition):
                client.overruns += 1
                let lost = mine.sorted().filter {
                    model.partition($0) == partition
                        && machine.hasLost(model.known[$0], from: position, in: partition)
                }
                machine.refill(model.feed, targets, in: partition, replayBytes: 1 << 12)
                if !lost.isEmpty {
                    send([.gap(Gap(from: nil, to: nil, targets: lost.map { NodeModel.targets[$0] }), id: nil)])
                }
            case .tell(let gap): send([.gap(gap, id: nil)])
            case .checkpoint(let cursor): send([.checkpoint(cursor)])
            case .finish: return finish()
            }
        }
        fail("has no end")
    }

    private func flush(_ gathered: inout [ModelClient.Item]) {
        let isWhole = gathered.count <= room
        let out = isWhole ? gathered[...] : gathered[...room]
        room = isWhole ? room - gathered.count : 0
        for item in out { client.show(item, floor: floor(of: item)) }
        machine.replayed(out.count, upTo: out.compactMap(\.cursor?.id).max() ?? .zero, now: model.now)
        gathered = []
        guard !isWhole else { return }
        machine.blocked(ringEnd: model.feed.ring.end, now: model.now)
        queued += 1
    }

    func received(_ slice: LogSlice, _ lane: Int, _ run: Replaying) {
        if machine.received(.slice(slice), lane: lane, of: run) == .proceed { advance() }
    }

    /// - Returns: whether to ask again.
    func failed(_ lane: Int, _ run: Replaying) -> Bool {
        machine.received(.failed, lane: lane, of: run) == .askLater
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

    func tick(_ partition: Partition) {
        if let cursor = machine.read(clocks: model.feed.clocks, of: partition, now: model.now) {
            send([.checkpoint(cursor)])
        }
        finishIfOver()
    }

    func wentBack(_ partition: Partition) {
        if machine.wentBack(model.feed, began: .max, in: partition) { advance() }
    }

    func tell(_ gap: Gap, id: EventID?, in partition: Partition) {
        let action = machine.gap(gap, id: id, in: partition, clocks: model.feed.clocks, now: model.now)
        if case .tell(let id) = action { send([.gap(gap, id: id)]) }
    }

    func tellHole(_ hole: Hole, of target: Int, wasHeard: Bool) {
        let name = NodeModel.targets[target]
        // Nothing is heard by other nodes alone here.
        let action = machine.hole(
            hole, of: name, wasHeard: wasHeard, began: .max, in: model.partition(target))
        if case .tell(let id) = action { send([.gap(hole.gap(of: name), id: id)]) }
    }

    func wake() {
        let (action, next) = machine.wake(now: model.now, clocks: model.feed.clocks, limits: ModelStream.limits)
        switch action {
        case .sleep, .heartbeat: break
        case .head:
            _ = machine.takeHead()
            for partition in partitions where isWaiting(partition) { client.promised(partition) }
            change { $0.proceed(model.feed, targets, replayBytes: 1 << 12, now: model.now) }
        case .checkpoint(let cursor): send([.checkpoint(cursor)])
        case .stalled: end()
        case .expired: fail("expired")
        }
        if next <= model.now { fail("a look at the same time would never end") }
    }

    func finishIfOver() {
        if machine.isFinished(newest: model.feed.newest, targets: targets) { finish() }
    }

    private func finish() {
        if mine.contains(where: { $0 != 2 && model.markers[$0]?.ends != true }) { return end() }
        // What comes behind the end, in another partition, is not waited for.
        client.compare(upTo: model.partitions == 1 ? nil : model.feed.newest, "finished")
        machine.end()
    }

    /// The connection ends. That something is lost from before its cursor, as of late events, it may not have heard yet.
    func end() {
        for partition in partitions { if let owed = machine.owed(in: partition) { client.gaps.append(owed) } }
        if let cursor = client.cursor { client.compare(upTo: cursor.cut, "ended", withLate: false) }
        machine.end()
    }
}
