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

    private var builder = BatchBuilder()
    private var nextID = NodeModel.firstID
    private(set) var born: UInt64 = 1
    private var isUp = true
    /// Nothing of these arrives before what is missing was repaired.
    private var hasHole = NodeModel.targets.map { _ in false }
    private var logs: [[LogEntry]] = NodeModel.targets.map { _ in [] }
    private(set) var markers: [LogMarker?] = NodeModel.targets.map { _ in nil }
    private(set) var history: [Published] = []
    private var indexOf: [EventID: Int] = [:]
    /// The newest logged event of each target that has arrived, or was told to be lost.
    private var settledUpTo = NodeModel.targets.map { _ in EventID.zero }
    /// The target and the position of each live-only event that has arrived.
    private(set) var liveOnly: [(position: UInt64, target: Int)] = []
    private var requests: [(stream: ModelStream, request: Replay.Request, mark: EventID, run: Replaying)] = []
    private var retries: [(stream: ModelStream, run: Replaying)] = []

    init(seed: UInt64, ringBytes: Int) {
        generator = SeededGenerator(seed: seed)
        feed = FeedView(ringBytes: ringBytes)
    }

    func chance(_ one: Int, in all: Int) -> Bool { Int.random(in: 0..<all, using: &generator) < one }

    var clock: EventID { EventID(nextID, 0) }

    // MARK: Publishing

    func publish() {
        for _ in 0..<Int.random(in: 1...4, using: &generator) { publishOne() }
        flush()
    }

    private func publishOne() {
        let target = Int.random(in: 0..<NodeModel.targets.count, using: &generator)
        guard !chance(2, in: 10) else {
            guard isUp, known[target].isConfirmed else { return }
            builder.add(nil, to: UInt64(target))
            return
        }
        nextID += 1
        let id = clock
        let ends = chance(1, in: 4)
        indexOf[id] = history.count
        history.append(Published(id: id, target: target))
        logs[target].append(
            LogEntry(id: id, previous: markers[target]?.id, event: Event(ByteBuffer(string: "x"), ends: ends)))
        markers[target] = LogMarker(id: id, ends: ends)
        guard known[target].isConfirmed else { return }
        if isUp, chance(1, in: 60) { hasHole[target] = true }
        if isUp, !hasHole[target] { arrive(id, target, ends) }
    }

    private func arrive(_ id: EventID, _ target: Int, _ ends: Bool) {
        guard let index = indexOf[id] else { return }
        history[index].hasArrived = true
        history[index].isLate = id <= builder.clock
        settledUpTo[target] = id
        builder.add(id, to: UInt64(target), ends: ends)
    }

    private func flush() {
        guard let batch = builder.finish() else { return }
        for (index, entry) in batch.entries.enumerated() where entry.id == .zero {
            liveOnly.append((batch.position + UInt64(index), Int(entry.target.rawValue)))
        }
        feed.append(batch) { [self] in
            for group in $0.groups { known[Int(group.target.rawValue)].drop(group, of: $0) }
        }
        for group in batch.groups {
            let target = Int(group.target.rawValue)
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

    /// The connection is lost, and with it what is published before it is back.
    func goDown() {
        flush()
        isUp = false
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
    func goBack() {
        goDown()
        answerAll(failing: true)
        let last = EventID(max(NodeModel.firstID, nextID - UInt64.random(in: 0...10, using: &generator)), 0)
        for target in logs.indices {
            lose(logs[target].filter { $0.id > last }.map(\.id))
            for index in history.indices where history[index].target == target && history[index].id > last {
                history[index].isUndone = true
            }
            // What was trimmed on the one was trimmed on the other.
            let had = markers[target]
            logs[target].removeAll { $0.id > last }
            if let had, had.id > last {
                markers[target] =
                    logs[target].last.map { LogMarker(id: $0.id, ends: $0.event.ends) }
                    ?? history.last { $0.target == target && $0.id <= last }.map { LogMarker(id: $0.id, ends: false) }
            }
        }
        nextID += 5
        born = nextID
        // Before anything else is read, as long as it is not known what is missing.
        comeBack()
    }

    /// The node reads from the logs what it has missed, and tells what is lost for good.
    func comeBack() {
        let wasUp = isUp
        isUp = true
        hasHole = hasHole.map { _ in false }
        for index in history.indices where isMissing(history[index]) {
            let event = history[index]
            if let entry = logs[event.target].first(where: { $0.id == event.id }) {
                arrive(event.id, event.target, entry.event.ends)
            } else {
                flush()
                tell(Gap(from: settledUpTo[event.target], to: event.id, targets: [NodeModel.targets[event.target]]))
                settledUpTo[event.target] = event.id
            }
        }
        flush()
        for (target, marker) in markers.enumerated() {
            if let marker, marker.ends, settledUpTo[target] <= marker.id, known[target].isConfirmed {
                note(target, known[target].end(by: marker.id))
                feed.pass(marker.id)
            }
        }
        for stream in streams { stream.finishIfOver() }
        if !wasUp { tick() }
    }

    /// It has not arrived, and must.
    func isMissing(_ event: Published) -> Bool {
        !event.hasArrived && known[event.target].isConfirmed && event.id > settledUpTo[event.target]
    }

    private func tell(_ gap: Gap) {
        let isFollowed = history.contains { isMissing($0) && $0.id < gap.to ?? .zero }
        for target in gap.targets {
            guard let index = NodeModel.targets.firstIndex(of: target) else { continue }
            if let to = gap.to { known[index].coverage.lose(upTo: to) }
            for stream in streams where stream.listens(index) { stream.tell(gap, id: isFollowed ? nil : gap.to) }
        }
    }

    // MARK: The clock

    /// A reading of the clock comes through the feed.
    func tick() {
        guard isUp else { return }
        flush()
        builder.raise(clock: clock)
        feed.read(clock: clock)
        learnBorn()
        for target in fresh { _ = known[target].coverage.settle(at: feed.clock) }
        fresh = []
        for stream in streams { stream.tick() }
    }

    private func learnBorn() {
        guard feed.learn(born: born) else { return }
        for stream in streams where stream.machine.wentBack(feed) { stream.advance() }
    }

    func confirm(_ target: Int) {
        guard isUp, !known[target].isConfirmed else { return }
        known[target].coverage.confirm()
        if known[target].since == nil { fresh.append(target) }
        settledUpTo[target] = markers[target]?.id ?? .zero
        for stream in streams where stream.listens(target) { stream.confirmed() }
    }

    /// Answers all that wait for a reading of the clock.
    func answerReadings() {
        guard isUp else { return }
        learnBorn()
        for (target, marker) in markers.enumerated() { note(target, known[target].learn(marker)) }
        for stream in streams { stream.received(reading: clock) }
    }

    // MARK: Logs

    func read(_ requests: [Replay.Request], for stream: ModelStream, _ run: Replaying) {
        for request in requests { self.requests.append((stream, request, run.mark, run)) }
    }

    func answerSome() {
        for _ in 0..<Int.random(in: 0...3, using: &generator) where !requests.isEmpty {
            let index = Int.random(in: requests.indices, using: &generator)
            answer(requests.remove(at: index), failing: !isUp || chance(1, in: 8))
        }
        let due = retries
        retries = []
        for (stream, run) in due {
            if chance(1, in: 2) { stream.retry(run) } else { retries.append((stream, run)) }
        }
    }

    func answerAll(failing: Bool) {
        while let one = requests.popLast() { answer(one, failing: failing) }
        guard !failing else { return }
        let due = retries
        retries = []
        for (stream, run) in due { stream.retry(run) }
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
