// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import TestSupport

/// A node's feed, driven as a hub drives it, and a Redis to which everything happens that can: each step is random.
struct FeedModel: ~Copyable {
    private static let shards = 2

    var generator: SeededGenerator
    var broker = ModelBroker(time: 1_000_000_000)
    var machine: FeedMachine
    let limits: FeedMachine.Limits
    var now = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
    let targets: [ModelTarget]
    private(set) var problem: String?
    /// What came to pass, so that a test knows that everything did.
    var counts: [String: Int] = [:]

    var link = ModelLink()
    /// Channels that Redis is to serve again only then.
    var pauses: [Target: NIODeadline] = [:]
    var asks: [(ask: ModelAsk, answer: ModelAnswer?)] = []
    var wakes: [(attempt: RepairAttempt, time: NIODeadline)] = []
    var mustGoOn = false
    private var nextTick: NIODeadline
    private var old: ModelBroker
    /// What another node has heard and not said yet, and what it said last.
    private var others: [HeardReport] = []
    private var othersSaid: [HeardReport] = []
    var failsToRead = false
    private var knowsLineage = false
    private var nextNumber: UInt64 = 1
    var numbers: [TargetNumber: ModelTarget] = [:]
    /// What each shard was told.
    var copies: [[Target: Coverage]] = Array(repeating: [:], count: FeedModel.shards)
    private var newest = EventID.zero
    private var forged: UInt64 = 0

    init(seed: UInt64) throws {
        generator = SeededGenerator(seed: seed)
        var limits = FeedMachine.Limits(event: 100)
        limits.held = 4096
        limits.heldOfTarget = 1500
        limits.released = 500
        limits.heardOfTarget = 400
        self.limits = limits
        machine = FeedMachine(limits: limits, wallClock: 1_000_000_000, now: now)
        nextTick = now
        old = broker
        let names = try [.all] + (1..<6).map { try Target.topic("t\($0)") }
        targets = names.map { ModelTarget(target: $0, isForged: $0 == names[1]) }
    }

    mutating func fail(_ text: String?) {
        if let text, problem == nil { problem = text }
    }

    private mutating func happens(_ chance: Double) -> Bool { Double.random(in: 0..<1, using: &generator) < chance }

    private mutating func anyTarget() -> ModelTarget { targets[Int.random(in: targets.indices, using: &generator)] }

    // MARK: Steps

    mutating func step() {
        pass(.milliseconds(Int64.random(in: 0...15, using: &generator)))
        switch Int.random(in: 0..<1000, using: &generator) {
        case 0..<270: publish(anyTarget())
        case 270..<640: receive()
        case 640..<860: talk()
        case 860..<900: link.subscribe()
        case 900..<910: link.unsubscribe()
        case 910..<940: listen(anyTarget())
        case 940..<945: unlisten(anyTarget())
        case 945..<965: openStream(anyTarget())
        case 965..<968: disconnect()
        case 968..<985: if link.state == .down { connect() }
        case 985..<989: failsToRead = happens(0.2)
        case 989..<992: link.send(forge())
        case 992..<994: link.send(.event(anyTarget().target, ByteBuffer(bytes: [0x1E, 0x32])))
        case 994: broker.logs[anyTarget().target]?.isUnreadable.toggle()
        case 995: broker.logs[anyTarget().target]?.entries.removeAll()
        case 996: old = broker
        case 998: if happens(0.3) { othersReport() }
        case 997: if happens(0.1) { leap() }
        default: flood(anyTarget())
        }
        if machine.heldBytes > limits.held + limits.heldOfTarget + 300 { fail("\(machine.heldBytes) bytes are held") }
    }

    /// Nothing goes wrong any more, and nothing new happens: at last everything is there.
    mutating func settle() {
        failsToRead = false
        if link.state == .down { connect() }
        othersReport()
        for _ in 0..<8 {
            for _ in 0..<30 {
                while link.subscribe() {}
                while link.unsubscribe() {}
                while link.hasMessages { receive() }
                while !asks.isEmpty { talk() }
                pass(.milliseconds(100))
            }
        }
        for target in targets where target.hasStream { fail(target.problemAtEnd.map { "\(target.target): \($0)" }) }
        if machine.heldBytes > 0 || machine.size > 4 * targets.count { fail("something is left") }
    }

    private mutating func pass(_ time: TimeAmount) {
        now = now + time
        broker.time += UInt64(time.nanoseconds / 1_000_000)
        if now >= nextTick {
            nextTick = now + .seconds(2)
            machine.tick(now: now, wallClock: broker.time)
        }
        let due = wakes.filter { $0.time <= now }
        wakes.removeAll { $0.time <= now }
        for (attempt, _) in due { machine.woken(attempt, now: now) }
        for (name, end) in pauses where end <= now {
            pauses[name] = nil
            guard let target = targets.first(where: { $0.target == name }) else { continue }
            if !target.isListenedTo {
                gone(target)
            } else if link.state != .down {
                link.want(name)
            }
        }
        if mustGoOn {
            mustGoOn = false
            machine.release(now: now)
        }
        perform()
    }

    // MARK: Publishing

    private mutating func publish(_ target: ModelTarget) {
        if happens(0.1) { return link.send(.event(target.target, ByteBuffer(bytes: [0x62]))) }
        let (id, payload) = broker.publish(target.target, ends: happens(0.05))
        target.published(id)
        newest = id
        // A target that is confirmed and has had no reading since has nothing by which a loss could be noticed.
        if pauses[target.target] != nil { target.lostInSilence(id) }
        if link.state == .up, machine.coverage(of: target.target).since != nil, happens(0.04) {
            note("lost in silence")
            target.lostInSilence(id)
        } else {
            link.send(.event(target.target, payload))
        }
    }

    /// An event from the future on any topic; on one, events whose predecessors never were.
    private mutating func forge() -> ModelMessage {
        forged += 1
        if happens(0.5) {
            let id = EventID(broker.time + UInt64.random(in: 150_000...1_000_000, using: &generator), forged)
            return .event(anyTarget().target, ModelBroker.payload(Envelope(id: id, previous: broker.clock)))
        }
        let id = EventID(broker.time, 1_000_000 + forged)
        let previous = EventID(broker.time, 500_000 + forged)
        return .event(targets[1].target, ModelBroker.payload(Envelope(id: id, previous: previous)))
    }

    /// More than can be held.
    private mutating func flood(_ target: ModelTarget) {
        note("flood")
        for _ in 0..<20 { publish(target) }
    }

    private mutating func leap() {
        note("leap")
        // After it, what this node has had is forgotten.
        othersReport()
        broker.time += 120_000
    }

    // MARK: Listening

    private mutating func listen(_ target: ModelTarget) {
        let shard = Int.random(in: 0..<FeedModel.shards, using: &generator)
        guard copies[shard][target.target] == nil else { return }
        let number = machine.number(of: target.target) ?? TargetNumber(nextNumber)
        nextNumber += 1
        numbers[number] = target
        if machine.listen(to: target.target, as: number, shard: shard) {
            target.listen()
            let isConfirmed = link.isServed(target.target) || pauses[target.target] != nil
            link.keep(target.target)
            if !isConfirmed, link.state != .down { link.want(target.target) }
            machine.wanted(target.target, isConfirmed: isConfirmed)
        }
        copies[shard][target.target] = machine.coverage(of: target.target)
    }

    private mutating func unlisten(_ target: ModelTarget) {
        let shard = Int.random(in: 0..<FeedModel.shards, using: &generator)
        guard copies[shard].removeValue(forKey: target.target) != nil,
            machine.unlisten(to: target.target, shard: shard)
        else { return }
        target.unlisten()
        if link.state == .down {
            pauses[target.target] = nil
            gone(target)
        } else if pauses[target.target] == nil {
            link.giveUp(target.target)
        }
    }

    private mutating func gone(_ target: ModelTarget) {
        machine.gone(target.target)
        target.gone()
    }

    private mutating func openStream(_ target: ModelTarget) {
        guard !target.hasStream, target.isListenedTo, machine.coverage(of: target.target).isConfirmed else { return }
        note("stream")
        target.openStream()
        asks.append((.start(target, stream: target.streams), nil))
    }

    // MARK: The connection

    private mutating func connect() {
        link.connect(to: targets.filter { $0.isListenedTo && pauses[$0.target] == nil }.map(\.target))
        checkSettled()
    }

    mutating func disconnect() {
        guard link.state != .down else { return }
        link.disconnect()
        machine.connectionLost()
        perform()
        for target in targets where !target.isListenedTo && pauses[target.target] == nil { gone(target) }
        // Of what came before the node knew where it was, nothing is promised.
        if happens(0.15), knowsLineage {
            goBack()
        }
    }

    private mutating func goBack() {
        note("data set goes back")
        // Whoever has heard something has said so by then; but what it was told may be forgotten, too.
        othersReport()
        // Who takes over is no faster than that.
        broker.time += 5
        now = now + .milliseconds(5)
        let heard = targets.compactMap { target in
            target.published.last.map { HeardEvent(target.target, $0, ends: false) }
        }
        let clock = old.clock
        others = othersSaid + [HeardReport(heard.filter { $0.id > clock }.map { .init($0, since: clock) })]
        othersSaid = []
        broker.goBack(to: old)
        for target in targets { target.goBack(to: clock) }
    }

    /// Another node says what it has heard.
    private mutating func othersReport() {
        guard !others.isEmpty else { return }
        note("another node reports")
        for report in others { carryOut(report) }
        othersSaid = Array((othersSaid + others).suffix(8))
        others = []
    }

    private mutating func carryOut(_ report: HeardReport) {
        for (target, hole) in broker.heard(report) { link.send(.event(target, ModelBroker.notice(hole))) }
    }

    private mutating func checkSettled() {
        guard link.settle() else { return }
        machine.connectionUp(now: now)
        perform()
    }

    private mutating func receive() {
        guard let message = link.next() else { return checkSettled() }
        switch message {
        case .event(let name, let payload):
            guard let number = machine.number(of: name) else { return }
            let envelope = payload.withUnsafeReadableBytes { machine.received($0, for: number, now: now) }
            if let envelope { deliver(envelope.id, to: number) }
        case .confirmed(let target):
            for shard in machine.confirmed(target) { copies[shard][target]?.confirm() }
        case .unsubscribed(let name):
            guard let target = targets.first(where: { $0.target == name }) else { return }
            if target.isListenedTo { link.want(name) } else { gone(target) }
        case .tick(let clock, let born):
            machine.received(clock: clock, born: born)
        }
        perform()
        checkSettled()
    }

    // MARK: The commands

    /// Redis carries out a command, or its answer arrives.
    private mutating func talk() {
        guard let first = asks.first else { return }
        if first.answer == nil, let index = asks.firstIndex(where: { $0.answer == nil }) {
            asks[index].answer = carryOut(asks[index].ask)
            return
        }
        if happens(0.4), let index = asks.firstIndex(where: { $0.answer == nil }) {
            asks[index].answer = carryOut(asks[index].ask)
            return
        }
        guard let (ask, answer) = asks.popFirst(), let answer else { return }
        switch (ask, answer) {
        case (.markers(let read), .reading(let reading)):
            knowsLineage = knowsLineage || !reading.lineage.isEmpty
            machine.markers(reading, of: read, now: now)
        case (.markers(let read), _): machine.markersFailed(read, now: now)
        case (.log(let read), .log(let outcome)): machine.received(outcome, of: read, now: now)
        case (.log(let read), _): machine.received(.failed, of: read, now: now)
        case (.report, let answer): if case .taken = answer { machine.reported(true) } else { machine.reported(false) }
        case (.start(let target, let stream), .reading(let reading)):
            machine.streamBegins(after: reading.clock)
            target.streamBegins(after: reading.clock, stream: stream)
        case (.start, _): asks.append((ask, nil))
        }
        perform()
    }

    private mutating func carryOut(_ ask: ModelAsk) -> ModelAnswer {
        guard !failsToRead, link.state != .down || happens(0.5) else { return .failed }
        switch ask {
        case .report(let report):
            carryOut(report)
            return .taken
        case .markers(let read): return .reading(broker.reading(read.targets))
        // A data set that went back may show a clock that it had before: what came since is no stream's that begins now.
        case .start: return .reading(ClockReading(clock: max(broker.clock, newest), born: broker.born))
        case .log(let read):
            return .log(broker.read(read.request, entries: Int.random(in: 1...4, using: &generator)))
        }
    }
}
