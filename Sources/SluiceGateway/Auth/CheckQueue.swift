// SPDX-License-Identifier: Apache-2.0
import DequeModule

/// Decides whose token is checked next, and who is turned away: a signature costs up to a millisecond, and anybody can send
/// tokens that only the look at their signature tells from good ones.
///
/// Addresses take turns, so a newcomer waits for one check of each address before it, however many the others have sent. When
/// all places are taken, the newest check of the address that has most gives way. Whoever nobody waits for any more is
/// dropped. Knows no clock, no thread and no token.
package struct CheckQueue<Check: Sendable>: Sendable {
    package struct Limits: Sendable {
        /// Checks that are under way at a time.
        package var running: Int
        /// Places of one connection. One browser's streams have one token or few.
        package var perConnection = 32
        /// Places in all.
        package var total = 4096

        package init(running: Int) {
            self.running = running
        }
    }

    package struct Asker: Hashable, Sendable {
        /// One address, or one network of IPv6: they are one party.
        package let address: NetworkAddress?
        /// nil: a proxy's connection, which brings everybody's requests.
        package let connection: ObjectIdentifier?

        package init(address: NetworkAddress?, connection: ObjectIdentifier?) {
            self.address = address
            self.connection = connection
        }
    }

    /// A place, to be named when it is given back.
    package struct Ticket: Hashable, Sendable {
        fileprivate let number: UInt64
        fileprivate let asker: Asker
    }

    package enum Admission: Sendable {
        /// - Parameter evicted: whose place it has taken; that one is to be turned away.
        case admitted(Ticket, evicted: Check?)
        case refused
    }

    private enum Phase {
        /// Waits for a key to be fetched.
        case parked
        case waiting
        case running
    }

    private struct Place: Sendable {
        let ticket: Ticket
        var check: Check
        var phase = Phase.parked
    }

    private struct Party: Sendable {
        /// In the order in which they came.
        var places: Deque<Place> = []
        var waiting = 0
    }

    private let limits: Limits
    private var parties: [NetworkAddress?: Party] = [:]
    private var connections: [ObjectIdentifier: Int] = [:]
    /// The addresses of which something waits, in the order of their turns.
    private var turns: Deque<NetworkAddress?> = []
    /// How many parties have so many places: finds the largest without a look at all of them.
    private var sizes: [Int]
    private var largest = 0
    private var running = 0
    private var nextNumber: UInt64 = 0
    /// Places that are taken.
    package private(set) var count = 0

    package init(limits: Limits) {
        self.limits = limits
        sizes = [Int](repeating: 0, count: limits.total + 1)
    }

    /// Takes a place for a check, which is not in line yet: see ``wait(_:update:)``.
    package mutating func admit(_ check: Check, of asker: Asker) -> Admission {
        if let connection = asker.connection, connections[connection, default: 0] >= limits.perConnection {
            return .refused
        }
        var evicted: Check?
        if count >= limits.total {
            guard let victim = victim(for: asker.address) else { return .refused }
            evicted = remove(victim)
        }
        let ticket = Ticket(number: nextNumber, asker: asker)
        nextNumber += 1
        parties[asker.address, default: Party()].places.append(Place(ticket: ticket, check: check))
        if let connection = asker.connection { connections[connection, default: 0] += 1 }
        count += 1
        resized(from: size(of: asker.address) - 1, to: size(of: asker.address))
        return .admitted(ticket, evicted: evicted)
    }

    /// Puts a check into the line of its address.
    ///
    /// - Parameter update: changes what is to be done.
    package mutating func wait(_ ticket: Ticket, update: (inout Check) -> Void = { _ in }) {
        let address = ticket.asker.address
        guard let index = index(of: ticket), var place = parties[address]?.places[index], place.phase == .parked else {
            return
        }
        update(&place.check)
        place.phase = .waiting
        parties[address]?.places[index] = place
        parties[address]?.waiting += 1
        if parties[address]?.waiting == 1 { turns.append(address) }
    }

    /// The check that is next; nil: nothing waits, or enough are under way. Each is to be followed by ``end(_:)`` or ``park(_:)``.
    package mutating func begin() -> (ticket: Ticket, check: Check)? {
        guard running < limits.running, let address = turns.popFirst(),
            let index = parties[address]?.places.firstIndex(where: { $0.phase == .waiting }),
            let place = parties[address]?.places[index]
        else { return nil }
        parties[address]?.places[index].phase = .running
        parties[address]?.waiting -= 1
        if parties[address]?.waiting != 0 { turns.append(address) }
        running += 1
        return (place.ticket, place.check)
    }

    /// A check that was under way is over.
    ///
    /// - Returns: what waits for its result; nil if nobody does any more.
    package mutating func end(_ ticket: Ticket) -> Check? {
        running -= 1
        return remove(ticket)
    }

    /// A check that was under way can't be done before a key has been fetched.
    ///
    /// - Returns: false if nobody waits for it any more.
    package mutating func park(_ ticket: Ticket) -> Bool {
        running -= 1
        guard let index = index(of: ticket) else { return false }
        parties[ticket.asker.address]?.places[index].phase = .parked
        return true
    }

    /// Nobody waits for the check any more, or it has its answer.
    @discardableResult
    package mutating func remove(_ ticket: Ticket) -> Check? {
        let address = ticket.asker.address
        guard let index = index(of: ticket), let place = parties[address]?.places.remove(at: index) else { return nil }
        if place.phase == .waiting {
            parties[address]?.waiting -= 1
            if parties[address]?.waiting == 0, let turn = turns.firstIndex(of: address) { turns.remove(at: turn) }
        }
        if let connection = ticket.asker.connection, let held = connections[connection] {
            connections[connection] = held > 1 ? held - 1 : nil
        }
        count -= 1
        resized(from: size(of: address) + 1, to: size(of: address))
        if size(of: address) == 0 { parties[address] = nil }
        return place.check
    }

    private func index(of ticket: Ticket) -> Int? {
        parties[ticket.asker.address]?.places.firstIndex { $0.ticket.number == ticket.number }
    }

    private func size(of address: NetworkAddress?) -> Int { parties[address]?.places.count ?? 0 }

    private mutating func resized(from old: Int, to new: Int) {
        if old > 0 { sizes[old] -= 1 }
        if new > 0 { sizes[new] += 1 }
        largest = max(largest, new)
        while largest > 0, sizes[largest] == 0 { largest -= 1 }
    }

    /// The newest check of the largest party; nil if the newcomer's own would be as large.
    private func victim(for address: NetworkAddress?) -> Ticket? {
        guard size(of: address) + 1 < largest,
            let party = parties.first(where: { $0.value.places.count == largest })?.value
        else { return nil }
        return party.places.last { $0.phase != .running }?.ticket
    }
}
