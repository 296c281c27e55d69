// SPDX-License-Identifier: Apache-2.0
import DequeModule
import NIOCore
import SluiceCore

/// What has been lost on its way, and is being read from the logs.
class Repair {
    /// Everything up to this id has been delivered.
    let after: EventID
    /// What the repair brings; later ids are among what is held.
    fileprivate(set) var mark = EventID.zero
    var replay: Replay?
    /// Which replay it is: what an earlier one has asked for is of no use to the next.
    private(set) var attempt = 0
    var isToBeginAgain = false
    fileprivate(set) var heldBytes = 0

    fileprivate init(after: EventID) {
        self.after = after
    }

    fileprivate func read(_ targets: [Target], after: EventID, earlier: [Target: EventID] = [:], born: UInt64) {
        attempt += 1
        replay = Replay(
            targets: targets, from: .after(after), earlier: earlier, through: mark, born: born,
            bytesMax: Hub.replayBytes)
    }
}

/// The connection was lost, and so perhaps something of each target: what arrives waits until that is made good.
final class FeedRepair: Repair {
    /// Of these targets only what came up to an earlier id has been delivered.
    let earlier: [Target: EventID]
    /// Topics that their markers call closed, by the event with this id.
    var ends: [Target: EventID] = [:]
    private var held: Deque<(payload: ByteBuffer, number: TargetNumber)> = []

    init(after: EventID, earlier: [Target: EventID]) {
        self.earlier = earlier
        super.init(after: after)
    }

    /// Everything of this target up to this id has been delivered: a connection brings events in their order.
    func after(_ interest: Interest) -> EventID {
        max(min(after, earlier[interest.target] ?? after), interest.last)
    }

    /// - Parameter interests: those that have news in their logs.
    func begin(_ interests: [Interest], through mark: EventID, born: UInt64) {
        self.mark = mark
        let starts = Dictionary(interests.map { ($0.target, after($0)) }, uniquingKeysWith: min)
        read(interests.map(\.target), after: starts.values.max() ?? after, earlier: starts, born: born)
    }

    func hold(_ payload: UnsafeRawBufferPointer, for number: TargetNumber) {
        held.append((ByteBuffer(bytes: payload), number))
        heldBytes += payload.count + TargetRepair.messageBytes
    }

    /// The next message that was held.
    func next() -> (payload: ByteBuffer, number: TargetNumber)? {
        guard let first = held.popFirst() else { return nil }
        heldBytes -= first.payload.readableBytes + TargetRepair.messageBytes
        return first
    }

    /// Forgets what is held of the noisiest targets, until no more than `bytesMax` is held.
    ///
    /// - Returns: those targets.
    func shed(to bytesMax: Int) -> [TargetNumber] {
        var bytes: [TargetNumber: Int] = [:]
        for (payload, number) in held {
            bytes[number, default: 0] += payload.readableBytes + TargetRepair.messageBytes
        }
        var noisy: Set<TargetNumber> = []
        for (number, size) in bytes.sorted(by: { $0.value > $1.value }) where heldBytes > bytesMax {
            noisy.insert(number)
            heldBytes -= size
        }
        held.removeAll { noisy.contains($0.number) }
        return Array(noisy)
    }
}

/// One target has lost something: what arrives of it waits until that is made good. All others go on.
final class TargetRepair: Repair {
    /// What a message costs that is held, beside its bytes.
    static let messageBytes = 64

    let interest: Interest
    /// The topic's marker calls it closed, by the event with this id.
    let end: EventID?
    /// The latest id that is missing, by what the held messages say.
    private(set) var missing: EventID
    /// The id of the last message that is held.
    private var last: EventID
    /// Times that the log could not be read.
    var failures = 0
    private var held: Deque<ByteBuffer> = []

    init(_ interest: Interest, after: EventID, through mark: EventID, end: EventID?) {
        self.interest = interest
        self.end = end
        missing = mark
        last = mark
        super.init(after: after)
        self.mark = mark
    }

    func begin(born: UInt64) {
        isToBeginAgain = false
        read([interest.target], after: max(after, interest.last), born: born)
    }

    func hold(_ payload: UnsafeRawBufferPointer, _ envelope: Envelope) {
        held.append(ByteBuffer(bytes: payload))
        heldBytes += payload.count + TargetRepair.messageBytes
        guard let id = envelope.id else { return }
        // Behind the first hole there is another.
        if let previous = envelope.previous, previous > last { missing = previous }
        last = max(last, id)
    }

    /// The next message that was held.
    func next() -> ByteBuffer? { held.popFirst() }
}

@available(*, unavailable)
extension Repair: Sendable {}
