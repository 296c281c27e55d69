// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// Decides when the next message goes out: at a rate, or as soon as there is room. Pure; time is an argument.
struct Pacer {
    private var total: Int
    /// Between two messages; nil: as fast as possible.
    private let interval: Double?
    private let inFlightMax: Int
    /// When the first message was asked for.
    private var start: NIODeadline?
    private(set) var sent = 0
    private var inFlight = 0
    /// How much later than planned a message went out, at worst: the publisher's own fault, not the server's.
    private(set) var lateness = TimeAmount.zero

    /// - Parameter rate: messages a second; 0: as fast as possible.
    init(total: Int, rate: Double, inFlightMax: Int) {
        self.total = total
        interval = rate > 0 ? 1_000_000_000 / rate : nil
        self.inFlightMax = inFlightMax
    }

    var isFinished: Bool { sent == total && inFlight == 0 }

    /// No more than has been sent.
    mutating func stop() { total = sent }

    /// Takes the next message's number if it is due and there is room for it.
    mutating func take(now: NIODeadline) -> Int? {
        guard sent < total, inFlight < inFlightMax else { return nil }
        start = start ?? now
        if let due = nextDue {
            guard due <= now else { return nil }
            lateness = max(lateness, now - due)
        }
        sent += 1
        inFlight += 1
        return sent - 1
    }

    mutating func acknowledged() { inFlight -= 1 }

    /// When to look again; nil: not before an acknowledgement.
    var wake: NIODeadline? {
        sent < total && inFlight < inFlightMax ? nextDue : nil
    }

    private var nextDue: NIODeadline? {
        guard let start, let interval else { return nil }
        return start + .nanoseconds(Int64(interval * Double(sent)))
    }
}
