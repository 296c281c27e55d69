// SPDX-License-Identifier: Apache-2.0
import DequeModule
import SluiceCore

/// Decides which event goes to the broker next, over all requests of the node.
///
/// Redis carries out what it has received before it looks at another client, so only a few events are under way at a time,
/// whatever the requests ask for: a request of 1,000 targets must not hold up everybody's events. Requests take turns, so
/// that a small one doesn't wait for a large one. The events of one request keep their order. Knows no loop and no broker.
package struct PublishQueue {
    /// Events that are under way to the broker at a time. On the machines we measured Redis needs some 25 microseconds for
    /// each, and a network with a round trip of a millisecond still carries 32,000 a second.
    package static let windowStandard = 32
    /// Events of one request in its turn.
    private static let turn = 8

    /// Names a request until its last event is answered.
    package struct Ticket: Hashable, Sendable {
        fileprivate let number: UInt64
    }

    private struct Request {
        let publications: [Publication]
        var sent = 0
        var results: [Result<Receipt, PublishFailure>?]
        var missing: Int
    }

    private let window: Int
    private var underWay = 0
    private var requests: [Ticket: Request] = [:]
    private var turns: Deque<Ticket> = []
    /// How much is left of the turn of the request at the head.
    private var left = PublishQueue.turn
    private var nextNumber: UInt64 = 0
    /// What waits here, in bytes: it counts against what may wait for the broker.
    package private(set) var bytes = 0

    package init(window: Int = PublishQueue.windowStandard) {
        self.window = window
    }

    /// - Parameter publications: at least one.
    package mutating func add(_ publications: [Publication]) -> Ticket {
        let ticket = Ticket(number: nextNumber)
        nextNumber += 1
        requests[ticket] = Request(
            publications: publications, results: Array(repeating: nil, count: publications.count),
            missing: publications.count)
        turns.append(ticket)
        bytes += PublishQueue.bytes(of: publications)
        return ticket
    }

    /// The event to send now, and its place in its request; nil: nothing waits, or enough is under way. Each is to be
    /// followed by ``answered(_:_:_:)``.
    package mutating func next() -> (ticket: Ticket, index: Int, publication: Publication)? {
        guard underWay < window, let ticket = turns.first, let request = requests[ticket] else { return nil }
        let index = request.sent
        let publication = request.publications[index]
        requests[ticket]?.sent += 1
        underWay += 1
        bytes -= publication.bytes
        left -= 1
        if index + 1 == request.publications.count {
            turns.removeFirst()
            left = PublishQueue.turn
        } else if left == 0 {
            turns.append(turns.removeFirst())
            left = PublishQueue.turn
        }
        return (ticket, index, publication)
    }

    /// What became of an event.
    ///
    /// - Returns: what became of all of its request, once the last is known.
    package mutating func answered(
        _ ticket: Ticket, _ index: Int, _ result: Result<Receipt, PublishFailure>
    ) -> [Result<Receipt, PublishFailure>]? {
        underWay -= 1
        requests[ticket]?.results[index] = result
        requests[ticket]?.missing -= 1
        guard requests[ticket]?.missing == 0 else { return nil }
        return requests.removeValue(forKey: ticket)?.results.compactMap(\.self)
    }

    package static func bytes(of publications: [Publication]) -> Int {
        publications.reduce(0) { $0 + $1.bytes }
    }
}
