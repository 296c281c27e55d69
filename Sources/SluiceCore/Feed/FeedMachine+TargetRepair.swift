// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// A single target has lost something on its way, or somebody who may publish to it says so: only its own events wait
/// until its log has been read, and that is done once in some seconds.
extension FeedMachine {
    /// Between two readings of one target's log.
    private static let repairPause = TimeAmount.seconds(2)
    private static let failuresMax = 5
    private static let failurePause = TimeAmount.milliseconds(200)

    mutating func startRepair(
        of interest: Interest, after known: EventID, through mark: EventID, end: EventID?, now: NIODeadline
    ) {
        let attempt = newAttempt(of: interest.number)
        interest.repair = TargetRepair(after: known, through: mark, end: end, attempt: attempt)
        actions.append(.complain(.lost, about: interest.target))
        // Not yet: what has come in this read is held first, and may name more that is missing.
        actions.append(.wake(attempt, at: max(interest.nextRepair, now)))
    }

    mutating func begin(_ attempt: RepairAttempt, of number: TargetNumber, now: NIODeadline) {
        guard let interest = interests[number], let repair = interest.repair, repair.attempt == attempt else { return }
        let start = max(repair.after, interest.last)
        interest.nextRepair = now + FeedMachine.repairPause
        interest.repairBegins(after: start)
        interest.repair?.replay = Replay(
            targets: [interest.target], from: .after(start), through: repair.mark, born: born,
            bytesMax: FeedMachine.replayBytes, followed: [interest.target],
            informed: interest.heard == nil ? [] : [interest.target])
        actions.append(.repairing)
        advancing.append(attempt)
    }

    /// The log can't be read now, or not at all.
    mutating func failed(_ interest: Interest, now: NIODeadline) {
        let attempt = newAttempt(of: interest.number)
        interest.repair?.attempt = attempt
        interest.repair?.failures += 1
        interest.repair?.replay = nil
        guard let failures = interest.repair?.failures, failures < FeedMachine.failuresMax else {
            return finish(interest, isRead: false, now: now)
        }
        actions.append(.wake(attempt, at: now + FeedMachine.failurePause))
    }

    mutating func hold(
        _ payload: UnsafeRawBufferPointer, _ envelope: Envelope, of interest: Interest, now: NIODeadline
    ) {
        let before = interest.repair?.held.bytes ?? 0
        interest.repair?.hold(payload, envelope, for: interest.number)
        let bytes = interest.repair?.held.bytes ?? 0
        heldOfTargets += bytes - before
        if bytes > limits.heldOfTarget || heldOfTargets > limits.held {
            finish(interest, isRead: false, now: now)
        }
    }

    /// - Parameter isRead: what the log has of it was delivered.
    mutating func finish(_ interest: Interest, isRead: Bool, now: NIODeadline) {
        guard var repair = interest.repair else { return }
        interest.repair = nil
        heldOfTargets -= repair.held.bytes
        settle(repair, of: interest, isRead: isRead)
        while let (payload, number) = repair.held.popFirst() { deliver(payload, for: number, now: now) }
    }

    /// What is missing has come, or is lost, or never was: it is not looked for again.
    private mutating func settle(_ repair: TargetRepair, of interest: Interest, isRead: Bool) {
        if interest.arrived < (isRead ? repair.mark : repair.missing) {
            // All holes in one. Its id must not be later than what is delivered after it.
            let gap = Gap(from: interest.known ?? repair.after, to: repair.missing, targets: [interest.target])
            actions.append(.gap(gap, id: repair.missing == repair.mark ? repair.mark : nil))
            interest.lost(upTo: repair.missing)
        }
        if let end = repair.end { tellEnd(of: interest.target, by: end) }
    }
}
