// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// What the machine says, and what the model makes of it.
extension FeedModel {
    mutating func perform() {
        while let action = machine.next(now: now) { perform(action) }
    }

    mutating func perform(_ action: FeedAction) {
        switch action {
        case .deliver(let envelope, _, let number): deliver(envelope.id, to: number)
        case .replay(let entry, _, let number):
            note("repaired")
            deliver(entry.id, to: number, isRepaired: true)
        case .gap(let gap, _): tell(gap)
        case .hole(let hole, let target, let wasHeard, _): tell(hole, of: target, wasHeard: wasHeard)
        case .lineage: note("lineage")
        case .report(let report): asks.append((.report(report), nil))
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
        case .repaired, .ready, .repairing, .readable, .changed: break
        }
    }

    mutating func deliver(_ id: EventID?, to number: TargetNumber, isRepaired: Bool = false) {
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

    private mutating func tell(_ hole: Hole, of name: Target, wasHeard: Bool) {
        note(wasHeard ? "a hole that was heard" : "a hole")
        guard wasHeard else { return tell(hole.gap(of: name)) }
        for target in targets where target.target == name {
            fail(target.hole(upTo: hole.upTo, wasHeard: true).map { "\(target.target): \($0)" })
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

    mutating func note(_ what: String) { counts[what, default: 0] += 1 }
}
