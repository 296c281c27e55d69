// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import SluiceCore

/// A single target has lost something on its way, or somebody who may publish to it says so: only its own events wait
/// until its log has been read, and that is done once in some seconds.
extension Hub {
    /// Between two readings of one target's log.
    private static let repairPause = TimeAmount.seconds(2)
    /// What may be held of one target, in bytes.
    private static let heldOfTargetMax = 2 * 1024 * 1024
    private static let failuresMax = 5
    private static let failurePause = TimeAmount.milliseconds(200)

    /// An event has come whose predecessor has not.
    func startRepair(before envelope: Envelope, _ payload: UnsafeRawBufferPointer, for number: TargetNumber) {
        guard let interest = byNumber[number], let known = interest.known, let previous = envelope.previous else {
            return
        }
        startRepair(of: interest, after: known, through: previous, end: nil)
        if let repair = targetRepairs[number] { hold(payload, envelope, in: repair) }
    }

    func startRepair(of interest: Interest, after known: EventID, through mark: EventID, end: EventID?) {
        complain("an event was lost on its way; reading it from its log", interest.number, [:])
        let repair = TargetRepair(interest, after: known, through: mark, end: end)
        targetRepairs[interest.number] = repair
        // Not yet: what has come in this read is held first, and may name more that is missing.
        let time = max(interest.nextRepair, eventLoop.now)
        eventLoop.assumeIsolated().scheduleTask(deadline: time) { [self] in begin(repair) }
    }

    private func begin(_ repair: TargetRepair) {
        guard isUnderWay(repair), isConnected else { return }
        counters.repairs.add(1)
        repair.interest.nextRepair = eventLoop.now + Hub.repairPause
        repair.begin(born: born)
        repairedUpTo = max(repairedUpTo, repair.mark)
        advance(repair)
    }

    /// The log can't be read now, or not at all.
    func failed(_ repair: TargetRepair) {
        repair.failures += 1
        repair.isToBeginAgain = true
        guard repair.failures < Hub.failuresMax else { return finish(repair, isRead: false) }
        eventLoop.assumeIsolated().scheduleTask(in: Hub.failurePause) { [self] in begin(repair) }
    }

    func hold(_ payload: UnsafeRawBufferPointer, _ envelope: Envelope, in repair: TargetRepair) {
        let before = repair.heldBytes
        repair.hold(payload, envelope)
        heldOfTargets += repair.heldBytes - before
        if repair.heldBytes > Hub.heldOfTargetMax || heldOfTargets > Hub.heldBytesMax { finish(repair, isRead: false) }
    }

    /// - Parameter isRead: what the log has of it was delivered.
    func finish(_ repair: TargetRepair, isRead: Bool) {
        targetRepairs[repair.interest.number] = nil
        heldOfTargets -= repair.heldBytes
        settle(repair, isRead: isRead)
        while let payload = repair.next() {
            payload.withUnsafeReadableBytes { take($0, for: repair.interest.number) }
        }
        flush()
    }

    /// What is missing has come, or is lost, or never was: it is not looked for again.
    private func settle(_ repair: TargetRepair, isRead: Bool) {
        let interest = repair.interest
        let arrived = max(interest.last, interest.lostUpTo)
        if isRead, arrived >= repair.mark {
            interest.lostUpTo = max(interest.lostUpTo, repair.mark)
        } else if arrived < repair.missing {
            // All holes in one. Its id must not be later than what is delivered after it.
            flush()
            let gap = Gap(from: interest.known ?? repair.after, to: repair.missing, targets: [interest.target])
            sendToAll(.gap(gap, id: repair.missing == repair.mark ? repair.mark : nil))
            interest.lostUpTo = repair.missing
        }
        if let end = repair.end { tellEnd(of: interest.target, by: end) }
    }
}
