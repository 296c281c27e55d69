// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import TestSupport

/// Redis and one node, as far as its streams can tell: what was published, what the logs still have, what the feed brings
/// and what it has lost. It knows the truth with which a stream's bytes are compared.
final class NodeModel {
    struct Published {
        let id: EventID
        let target: Int
        var hasArrived = false
        var isLate = false
        /// No log has it any more.
        var isGone = false
        /// Nor has the data set any trace of it.
        var isUndone = false
    }

    static let targets = [Target("topic:a"), Target("topic:b"), Target("all"), Target("topic:c")].compactMap(\.self)
    private static let firstID: UInt64 = 1000

    var generator: SeededGenerator
    var now = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
    /// What the shard has.
    var feed: FeedView
    var known = NodeModel.targets.map { TargetFeed(of: $0) }
    private var fresh: [Int] = []
    var streams: [ModelStream] = []

    /// How many partitions the broker has; the targets are in the first three of several.
    let partitions: Int
    private var builder: BatchBuilder
    private var nextID = NodeModel.firstID
    private var up: PartitionSet
    /// What the data set has forgotten, and nobody has said yet.
    private var unreported: [Int: Hole] = [:]
    /// What somebody has said of that, and the node has not heard yet.
    private var notices: [(target: Int, hole: Hole)] = []
    /// Nothing of these arrives before what is missing was repaired.
    private var hasHole = NodeModel.targets.map { _ in false }
    private var logs: [[LogEntry]] = NodeModel.targets.map { _ in [] }
    private(set) var markers: [LogMarker?] = NodeModel.targets.map { _ in nil }
    private(set) var history: [Published] = []
    private var indexOf: [EventID: Int] = [:]
    /// The newest logged event of each target that has arrived, or was told to be lost.
    private var settledUpTo = NodeModel.targets.map { _ in EventID.zero }
    /// Each live-only event that has arrived, by its position.
    private(set) var targetOfLiveOnly: [UInt64: Int] = [:]
    private var requests: [(stream: ModelStream, request: Replay.Request, mark: EventID, run: Replaying)] = []
    private var retries: [(stream: ModelStream, run: Replaying)] = []

    init(seed: UInt64, ringBytes: Int, partitions: Int) {
        generator = SeededGenerator(seed: seed)
        self.partitions = partitions
        feed = FeedView(ringBytes: ringBytes, partitions: partitions)
        builder = BatchBuilder(partitions: partitions)
        up = PartitionSet(rawValue: .max)
    }

    private static let partitionOf = [0, 1, 2, 1].map { Partition($0) }

    func partition(_ target: Int) -> Partition { partitions == 1 ? .first : NodeModel.partitionOf[target] }

    /// Ids tell their partition, so that no two are the same.
    func partition(of id: EventID) -> Partition { Partition(Int(id.sequence)) }

    private var used: [Partition] { partitions == 1 ? [.first] : Array(Set(NodeModel.partitionOf)).sorted() }

    private func isUp(_ partition: Partition) -> Bool { up.contains(PartitionSet(partition)) }

    func randomPartition() -> Partition { used.randomElement(using: &generator) ?? .first }

    func chance(_ one: Int, in all: Int) -> Bool { Int.random(in: 0..<all, using: &generator) < one }

    func clock(of partition: Partition) -> EventID { EventID(nextID, UInt64(partition.index)) }

    // MARK: Publishing

    func publish() {
        for _ in 0..<Int.random(in: 1...4, using: &generator) { publishOne() }
        flush()
    }

    private func publishOne() {
        let target = Int.random(in: 0..<NodeModel.targets.count, using: &generator)
        let partition = partition(target)
        guard !chance(2, in: 10) else {
            if isUp(partition), known[target].isConfirmed { add(nil, target, false) }
            return
        }
        nextID += 1
        let id = clock(of: partition)
        let ends = chance(1, in: 4)
        indexOf[id] = history.count
        history.append(Published(id: id, target: target))
        logs[target].append(
            LogEntry(id: id, previous: markers[target]?.id, event: Event(ByteBuffer(string: "x"), ends: ends)))
        markers[target] = LogMarker(id: id, ends: ends, holes: markers[target]?.holes ?? [])
        guard known[target].isConfirmed else { return }
        if isUp(partition), chance(1, in: 60) { hasHole[target] = true }
        if isUp(partition), !hasHole[target] { arrive(id, target, ends) }
    }

    private func arrive(_ id: EventID, _ target: Int, _ ends: Bool) {
        guard let index = indexOf[id] else { return }
        history[index].hasArrived = true
        history[index].isLate = id <= builder.cut[partition(target)]
        settledUpTo[target] = id
        add(id, target, ends)
    }

    private func add(_ id: EventID?, _ target: Int, _ ends: Bool) {
        let number = TargetNumber(UInt64(target), in: partition(target))
        if builder.isDue(before: number) { flush() }
        _ = [UInt8(ascii: "x")].withUnsafeBytes {
            builder.append(Envelope(id: id, ends: ends), data: $0, target: number)
        }
    }

    private func flush() {
        guard let batch = builder.finish() else { return }
        for (index, entry) in batch.entries.enumerated() where entry.id == .zero {
            targetOfLiveOnly[batch.position + UInt64(index)] = Int(entry.target.serial)
        }
        feed.append(batch) { [self] in
            for group in $0.groups { known[Int(group.target.serial)].drop(group, of: $0) }
        }
        for group in batch.groups {
            let target = Int(group.target.serial)
            note(target, known[target].receive(group))
        }
        for stream in streams { stream.deliver(batch) }
        for stream in streams { stream.finishIfOver() }
    }

    private func note(_ target: Int, _ isOver: Bool?) {
        guard let isOver else { return }
        for stream in streams where stream.listens(target) { stream.machine.topic(isOver: isOver) }
    }

    // MARK: What goes wrong

    /// A connection is lost, and with it what is published before it is back.
    func goDown(_ partition: Partition) {
        flush()
        up.remove(PartitionSet(partition))
    }

    /// The oldest events leave a log.
    func trim() {
        let target = Int.random(in: 0..<logs.count, using: &generator)
        let count = Int.random(in: 0...logs[target].count, using: &generator)
        lose(logs[target].prefix(count).map(\.id))
        logs[target].removeFirst(count)
    }

    private func lose(_ ids: [EventID]) {
        for id in ids { if let index = indexOf[id] { history[index].isGone = true } }
    }

    /// Redis fails over to a replica that lacks what was published last.
    func goBack(_ partition: Partition) {
        // Who has heard something says so in time.
        report()
        if notices.contains(where: { self.partition($0.target) == partition }) { comeBack(partition) }
        goDown(partition)
        answerAll(failing: [partition])
        let last = EventID(max(NodeModel.firstID, nextID - UInt64.random(in: 0...10, using: &generator)), .max)
        for target in logs.indices where self.partition(target) == partition {
            lose(logs[target].filter { $0.id > last }.map(\.id))
            for index in history.indices where history[index].target == target && history[index].id > last {
                history[index].isUndone = true
            }
            // What was trimmed on the one was trimmed on the other.
            logs[target].removeAll { $0.id > last }
            guard let had = markers[target], had.id > last else { continue }
            let kept = logs[target].last
            let from = kept?.id ?? history.last { $0.target == target && $0.id <= last }?.id ?? .zero
            markers[target] =
                from > .zero ? LogMarker(id: from, ends: kept?.event.ends ?? false, holes: had.holes) : nil
            // What was a hole before, the nodes say again.
            let lowest = min(from, last, unreported[target]?.from ?? from, had.holes.map(\.from).min() ?? from)
            let after = min(last, unreported[target]?.after ?? last, had.holes.map(\.after).min() ?? last)
            unreported[target] = Hole(from: lowest, after: after, upTo: had.id)
        }
        nextID += 5
        // Whoever publishes next may be faster than any node.
        for _ in 0..<Int.random(in: 0...3, using: &generator) { publishOne() }
        flush()
        if chance(1, in: 2) { report() }
        for stream in streams { stream.wentBack(partition) }
        comeBack(partition)
    }

    /// The nodes say what they have heard.
    func report() {
        for (target, hole) in unreported {
            let newest = markers[target]?.id ?? .zero
            markers[target] = LogMarker(
                id: max(newest, hole.upTo), ends: newest > hole.upTo && markers[target]?.ends == true,
                holes: (markers[target]?.holes ?? []) + [hole])
            notices.append((target, hole))
        }
        unreported = [:]
        tellHoles()
    }

    private func tellHoles() {
        let heard = notices.filter { isUp(partition($0.target)) }
        notices.removeAll { isUp(partition($0.target)) }
        for (target, hole) in heard {
            let wasHeard = indexOf[hole.upTo].map { history[$0].hasArrived } ?? false
            if !wasHeard {
                known[target].coverage.lose(upTo: hole.upTo)
                settledUpTo[target] = max(settledUpTo[target], hole.upTo)
            }
            for stream in streams where stream.listens(target) {
                stream.tellHole(hole, of: target, wasHeard: wasHeard)
            }
        }
    }

    /// It is not known yet that the data set lacks it.
    func isUnreported(_ event: Published) -> Bool {
        let holes =
            notices.filter { $0.target == event.target }.map(\.hole) + [unreported[event.target]].compactMap(\.self)
        return event.isUndone && holes.contains { event.id <= $0.upTo }
    }

    /// The node reads from the logs what it has missed, and tells what is lost for good.
    func comeBack(_ partition: Partition) {
        let wasUp = isUp(partition)
        up.insert(PartitionSet(partition))
        for target in hasHole.indices where self.partition(target) == partition { hasHole[target] = false }
        for index in history.indices where isMissing(history[index]) {
            let event = history[index]
            guard self.partition(event.target) == partition else { continue }
            if let entry = logs[event.target].first(where: { $0.id == event.id }) {
                arrive(event.id, event.target, entry.event.ends)
            } else {
                flush()
                tell(Gap(from: settledUpTo[event.target], to: event.id, targets: [NodeModel.targets[event.target]]))
                settledUpTo[event.target] = event.id
            }
        }
        flush()
        for (target, marker) in markers.enumerated() where self.partition(target) == partition {
            if let marker, marker.ends, settledUpTo[target] <= marker.id, known[target].isConfirmed {
                note(target, known[target].end(by: marker.id))
                feed.pass(marker.id, in: partition)
            }
        }
        for stream in streams { stream.finishIfOver() }
        tellHoles()
        if !wasUp { tick(partition) }
    }

    /// It has not arrived, and must.
    func isMissing(_ event: Published) -> Bool {
        !event.hasArrived && known[event.target].isConfirmed && event.id > settledUpTo[event.target]
    }

    private func tell(_ gap: Gap) {
        for target in gap.targets {
            guard let index = NodeModel.targets.firstIndex(of: target) else { continue }
            let partition = partition(index)
            let isFollowed = history.contains {
                isMissing($0) && self.partition($0.target) == partition && $0.id < gap.to ?? .zero
            }
            if let to = gap.to { known[index].coverage.lose(upTo: to) }
            for stream in streams where stream.listens(index) {
                stream.tell(gap, id: isFollowed ? nil : gap.to, in: partition)
            }
        }
    }

    // MARK: The clock

    /// A reading of a partition's clock comes through the feed.
    func tick(_ partition: Partition) {
        guard isUp(partition) else { return }
        flush()
        builder.raise(clock: clock(of: partition), of: partition)
        feed.read(clock: clock(of: partition), of: partition)
        learnBorn(partition)
        for target in fresh where self.partition(target) == partition {
            _ = known[target].coverage.settle(at: feed.clock(of: partition))
        }
        fresh.removeAll { self.partition($0) == partition }
        for stream in streams { stream.tick(partition) }
    }

    func tickAll() {
        for partition in used { tick(partition) }
    }

    private func learnBorn(_ partition: Partition) {
        guard feed.learn(born: 1, in: partition) else { return }
        for stream in streams { stream.wentBack(partition) }
    }

    func confirm(_ target: Int) {
        guard isUp(partition(target)), !known[target].isConfirmed else { return }
        known[target].coverage.confirm()
        if known[target].since == nil { fresh.append(target) }
        settledUpTo[target] = markers[target]?.id ?? .zero
        for stream in streams where stream.listens(target) { stream.confirmed(partition(target)) }
    }

    /// Answers all that wait for a reading of a partition's clock.
    func answerReadings(_ partition: Partition) {
        guard isUp(partition) else {
            for stream in streams { stream.readingFailed(of: partition) }
            return
        }
        learnBorn(partition)
        for (target, marker) in markers.enumerated() where self.partition(target) == partition {
            note(target, known[target].learn(marker))
        }
        for stream in streams { stream.received(reading: clock(of: partition), of: partition) }
    }

    /// Everything that was away is back, and all is answered.
    func settleOnce() {
        for partition in used {
            comeBack(partition)
            tick(partition)
            answerReadings(partition)
        }
        answerAll(failing: [])
    }

    // MARK: Logs

    func read(_ requests: [Replay.Request], for stream: ModelStream, _ run: Replaying) {
        for request in requests { self.requests.append((stream, request, run.mark, run)) }
    }

    func answerSome() {
        for _ in 0..<Int.random(in: 0...3, using: &generator) where !requests.isEmpty {
            let index = Int.random(in: requests.indices, using: &generator)
            let request = requests.remove(at: index)
            answer(request, failing: !isUp(request.run.partition) || chance(1, in: 8))
        }
        let due = retries
        retries = []
        for (stream, run) in due {
            if chance(1, in: 2) { stream.retry(run) } else { retries.append((stream, run)) }
        }
    }

    /// - Parameter failing: only what is asked of these is answered, with a failure; none: all is answered.
    func answerAll(failing: Set<Partition>) {
        let due = requests.filter { failing.isEmpty || failing.contains($0.run.partition) }
        requests.removeAll { failing.isEmpty || failing.contains($0.run.partition) }
        for one in due.reversed() { answer(one, failing: !failing.isEmpty) }
        guard failing.isEmpty else { return }
        let waiting = retries
        retries = []
        for (stream, run) in waiting { stream.retry(run) }
    }

    private func answer(
        _ one: (stream: ModelStream, request: Replay.Request, mark: EventID, run: Replaying), failing: Bool
    ) {
        guard !failing, let target = NodeModel.targets.firstIndex(of: one.request.target) else {
            if one.stream.failed(one.request.lane, one.run) { retries.append((one.stream, one.run)) }
            return
        }
        let count = Int.random(in: 1...4, using: &generator)
        let rest = logs[target].filter { $0.id > one.request.after }
        let page = LogPage(marker: markers[target], entries: Array(rest.prefix(count)), isLast: rest.count < count)
        let slice = LogSlice(LogSegment(page, after: one.request.after), isLast: page.isLast)
        one.stream.received(slice, one.request.lane, one.run)
    }
}
