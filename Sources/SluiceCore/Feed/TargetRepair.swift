// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// One target has lost something: what arrives of it waits until that is made good. All others go on.
struct TargetRepair {
    /// Everything up to this id has been delivered.
    let after: EventID
    /// What the repair brings; later ids are among what is held.
    let mark: EventID
    /// The topic's marker calls it closed, by the event with this id.
    let end: EventID?
    /// The latest id that is missing, by what the held messages say.
    private(set) var missing: EventID
    /// The id of the last message that is held.
    private var last: EventID
    var held = HeldMessages()
    var attempt: RepairAttempt
    /// Times that the log could not be read.
    var failures = 0
    var replay: Replay?

    init(after: EventID, through mark: EventID, end: EventID?, attempt: RepairAttempt) {
        self.after = after
        self.mark = mark
        self.end = end
        self.attempt = attempt
        missing = mark
        last = mark
    }

    mutating func hold(_ payload: UnsafeRawBufferPointer, _ envelope: Envelope, for number: TargetNumber) {
        held.append(payload, for: number)
        guard let id = envelope.id else { return }
        // Behind the first hole there is another.
        if let previous = envelope.previous, previous > last { missing = previous }
        last = max(last, id)
    }
}
