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
    private(set) var counts: [String: Int] = [:]

    private var link = ModelLink()
    /// Channels that Redis is to serve again only then.
    private var pauses: [Target: NIODeadline] = [:]
    private var asks: [(ask: ModelAsk, answer: ModelAnswer?)] = []
    private var wakes: [(attempt: RepairAttempt, time: NIODeadline)] = []
    private var mustGoOn = false
    private var nextTick: NIODeadline
    private var old: ModelBroker
    private var failsToRead = false
    private var nextNumber: UInt64 = 1
    private var numbers: [TargetNumber: ModelTarget] = [:]
    /// What each shard was told.
    private var copies: [[Target: Coverage]] = Array(repeating: [:], count: FeedModel.shards)
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

    private mutating func fail(_ text: String?) {
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
        case 997: if happens(0.1) { leap() }
        default: flood(anyTarget())
        }
        if machine.heldBytes > limits.held + limits.heldOfTarget + 300 { fail("\(machine.heldBytes) bytes are held") }
    }

    /// Nothing goes wrong any more, and nothing new happens: at last everything is there.
    mutating func settle() {
        failsToRead = false
        if link.state == .down { connect() }
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

    private mutating func disconnect() {
        guard link.state != .down else { return }
        link.disconnect()
        machine.connectionLost()
        perform()
        for target in targets where !target.isListenedTo && pauses[target.target] == nil { gone(target) }
        if happens(0.15) {
            note("data set goes back")
            broker.goBack(to: old)
        }
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
        case (.markers(let read), .reading(let reading)): machine.markers(reading, of: read, now: now)
        case (.markers(let read), _): machine.markersFailed(read, now: now)
        case (.log(let read), .log(let outcome)): machine.received(outcome, of: read, now: now)
        case (.log(let read), _): machine.received(.failed, of: read, now: now)
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
        case .markers(let read): return .reading(broker.reading(read.targets))
        // A data set that went back may show a clock that it had before: what came since is no stream's that begins now.
        case .start: return .reading(ClockReading(clock: max(broker.clock, newest), born: broker.born))
        case .log(let read):
            return .log(broker.read(read.request, entries: Int.random(in: 1...4, using: &generator)))
        }
    }

    // MARK: What the machine says

    private mutating func perform() {
        while let action = machine.next(now: now) { perform(action) }
    }

    private mutating func perform(_ action: FeedAction) {
        switch action {
        case .deliver(let envelope, _, let number): deliver(envelope.id, to: number)
        case .replay(let entry, _, let number):
            note("repaired")
            deliver(entry.id, to: number, isRepaired: true)
        case .gap(let gap, _): tell(gap)
        case .reading(let reading, _):
            for target in targets { fail(target.reading(reading).map { "\(target.target): \($0)" }) }
        case .covered(let numbers, let since): cover(numbers, since: since)
        case .readMarkers(let read): asks.append((.markers(read), nil))
        case .readLog(let read): asks.append((.log(read), nil))
        case .wake(let attempt, let time): wakes.append((attempt, time))
        case .goOn: mustGoOn = true
        case .tick(let known):
            guard link.state != .down, !failsToRead else { return }
            link.send(.tick(broker.tick(known: known), born: broker.born))
            machine.received(serverTime: broker.time, asked: now)
        case .reconnect:
            note("deaf")
            disconnect()
        case .complain(.future(let id), let name):
            note("future")
            for target in targets where target.target == name {
                target.lostInSilence(id)
                if machine.coverage(of: target.target).since == nil { target.closeStream() }
            }
        case .pause(let name, let time):
            note("paused")
            guard link.pause(name) else { return }
            pauses[name] = now + time
        case .complain(.lost, let name):
            for target in targets where target.target == name { target.isHeldBack = true }
        case .complain: note("complaint")
        case .ended: note("ended")
        case .repaired, .ready, .repairing, .readable: break
        }
    }

    private mutating func deliver(_ id: EventID?, to number: TargetNumber, isRepaired: Bool = false) {
        guard let id, let target = numbers[number] else { return }
        note("delivered")
        if !isRepaired { target.isHeldBack = false }
        fail(target.deliver(id).map { "\(target.target): \($0)" })
    }

    private mutating func tell(_ gap: Gap) {
        note("gap")
        for target in targets where gap.targets.contains(target.target) {
            guard let to = gap.to else {
                target.isFlooded = true
                continue
            }
            for shard in copies.indices { copies[shard][target.target]?.lose(upTo: to) }
            let wrong = target.gap(from: gap.from, to: to, isKnown: broker.knows(target.target, from: gap.from, to: to))
            fail(wrong.map { "\(target.target): \($0)" })
        }
    }

    private mutating func cover(_ numbers: [TargetNumber], since: EventID) {
        for number in numbers {
            guard let target = self.numbers[number]?.target else { continue }
            for shard in copies.indices where copies[shard][target] != nil {
                _ = copies[shard][target]?.settle(at: since)
                if copies[shard][target] != machine.coverage(of: target) {
                    fail("\(target): a shard believes otherwise")
                }
            }
        }
    }

    private mutating func note(_ what: String) { counts[what, default: 0] += 1 }
}
