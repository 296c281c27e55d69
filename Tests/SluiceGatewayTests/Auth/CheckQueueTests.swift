// SPDX-License-Identifier: Apache-2.0
import SluiceGateway
import TestSupport
import Testing

@Suite("The queue of tokens to be checked")
struct CheckQueueTests {
    private typealias Queue = CheckQueue<String>

    private final class Connection {}

    private static func address(_ number: Int) -> NetworkAddress { NetworkAddress(ipv4: UInt32(0x0A00_0000 + number)) }

    private func asker(_ number: Int, _ connection: Connection? = nil) -> Queue.Asker {
        Queue.Asker(address: CheckQueueTests.address(number), connection: connection.map { ObjectIdentifier($0) })
    }

    private func limits(running: Int = 1, perConnection: Int = 32, total: Int = 4096) -> Queue.Limits {
        var limits = Queue.Limits(running: running)
        limits.perConnection = perConnection
        limits.total = total
        return limits
    }

    /// - Returns: nil if it is turned away.
    private func add(
        _ check: String, _ asker: Queue.Asker, to queue: inout Queue, evicted: inout [String]
    ) -> Queue.Ticket? {
        guard case .admitted(let ticket, let victim) = queue.admit(check, of: asker) else { return nil }
        if let victim { evicted.append(victim) }
        queue.wait(ticket)
        return ticket
    }

    private func add(_ check: String, _ asker: Queue.Asker, to queue: inout Queue) -> Queue.Ticket? {
        var evicted: [String] = []
        return add(check, asker, to: &queue, evicted: &evicted)
    }

    private func begin(_ queue: inout Queue) -> (ticket: Queue.Ticket, check: String)? { queue.begin() }

    /// Checks so many, one after the other.
    private func run(_ queue: inout Queue, _ count: Int = .max) -> [String] {
        var done: [String] = []
        while done.count < count, let (ticket, check) = queue.begin() {
            #expect(queue.end(ticket) == check)
            done.append(check)
        }
        return done
    }

    @Test("A newcomer waits for one check of each other address, however many those have sent")
    func fair() {
        var queue = Queue(limits: limits())
        for number in 0..<1000 { #expect(add("a\(number)", asker(1), to: &queue) != nil) }
        for number in 0..<500 { #expect(add("b\(number)", asker(2), to: &queue) != nil) }
        #expect(add("good", asker(3), to: &queue) != nil)
        #expect(run(&queue, 4) == ["a0", "b0", "good", "a1"])
        #expect(run(&queue).count == 1497 && queue.count == 0)
    }

    @Test("Of one address they are checked in the order in which they came, and no more at a time than is allowed")
    func order() throws {
        var queue = Queue(limits: limits(running: 2))
        for number in 0..<5 { _ = add("\(number)", asker(1), to: &queue) }
        let first = try #require(begin(&queue))
        let second = try #require(begin(&queue))
        #expect([first.check, second.check] == ["0", "1"] && queue.begin() == nil)
        #expect(queue.end(second.ticket) == "1")
        #expect(queue.begin()?.check == "2" && queue.begin() == nil)
        #expect(queue.end(first.ticket) == "0")
        #expect(queue.begin()?.check == "3")
    }

    @Test("A connection has so many places, a proxy's has no limit of its own, and they come back")
    func perConnection() throws {
        var queue = Queue(limits: limits(perConnection: 3))
        let connections = [Connection(), Connection()]
        for connection in connections {
            let places = (0..<5).compactMap { add("\($0)", asker(1, connection), to: &queue) }
            #expect(places.count == 3)
            queue.remove(try #require(places.first))
            #expect(add("again", asker(1, connection), to: &queue) != nil)
            #expect(add("more", asker(1, connection), to: &queue) == nil)
        }
        #expect((0..<100).compactMap { add("\($0)", asker(1), to: &queue) }.count == 100)
        #expect(run(&queue).count == 106)
        #expect(add("later", asker(1, connections[0]), to: &queue) != nil)
    }

    @Test("When all places are taken the newest of the largest address gives way, and never to one as large")
    func eviction() {
        var queue = Queue(limits: limits(total: 10))
        var evicted: [String] = []
        for number in 0..<12 { _ = add("a\(number)", asker(1), to: &queue, evicted: &evicted) }
        #expect(queue.count == 10 && evicted.isEmpty, "one address evicts nobody")
        for number in 0..<9 { _ = add("b\(number)", asker(2), to: &queue, evicted: &evicted) }
        #expect(evicted == ["a9", "a8", "a7", "a6", "a5"], "until both have as much")
        for number in 3..<9 { _ = add("c\(number)", asker(number), to: &queue, evicted: &evicted) }
        #expect(queue.count == 10 && evicted.count == 11)
        #expect(run(&queue).count == 10 && queue.count == 0)
    }

    @Test("An address that nobody has heard of gets a place while another has two, and then none")
    func many() {
        var queue = Queue(limits: limits(total: 100))
        var evicted: [String] = []
        for number in 0..<100 { _ = add("flood \(number)", asker(0), to: &queue, evicted: &evicted) }
        let admitted = (1...200).compactMap { add("\($0)", asker($0), to: &queue, evicted: &evicted) }
        #expect(admitted.count == 99 && queue.count == 100)
        #expect(run(&queue).filter { $0.hasPrefix("flood") } == ["flood 0"])
    }

    @Test("Whoever is gone is not checked, and leaves no trace")
    func abandoned() throws {
        var queue = Queue(limits: limits(total: 100))
        for round in 0..<1000 {
            let tickets = (0..<50).compactMap { add("\($0)", asker(round, Connection()), to: &queue) }
            for ticket in tickets.shuffled() { #expect(queue.remove(ticket) != nil) }
            for ticket in tickets { #expect(queue.remove(ticket) == nil) }
        }
        #expect(queue.count == 0 && queue.begin() == nil)
        _ = add("last", asker(1), to: &queue)
        let (ticket, _) = try #require(begin(&queue))
        queue.remove(ticket)
        #expect(queue.count == 0)
        #expect(queue.end(ticket) == nil, "its result is for nobody")
        _ = add("next", asker(2), to: &queue)
        #expect(queue.begin()?.check == "next")
    }

    @Test("A check that waits for a key keeps its place, and keeps nobody from being checked")
    func parked() throws {
        var queue = Queue(limits: limits(total: 10))
        for number in 0..<5 { _ = add("a\(number)", asker(1), to: &queue) }
        var parked: [Queue.Ticket] = []
        for _ in 0..<5 {
            let (ticket, _) = try #require(begin(&queue))
            #expect(queue.park(ticket) == true)
            parked.append(ticket)
        }
        #expect(queue.begin() == nil && queue.count == 5)
        _ = add("b", asker(2), to: &queue)
        #expect(run(&queue) == ["b"])
        queue.remove(parked[0])
        for ticket in parked { queue.wait(ticket) { $0 = "again" } }
        for ticket in parked { queue.wait(ticket) { $0 = "twice" } }
        #expect(run(&queue) == ["again", "again", "again", "again"])
        // They may be evicted like others.
        for number in 0..<10 { _ = add("a\(number)", asker(1), to: &queue) }
        let (ticket, _) = try #require(begin(&queue))
        #expect(queue.park(ticket) == true)
        #expect(add("c", asker(3), to: &queue) != nil && queue.count == 10)
    }

    @Test(
        "At random: nothing is lost, doubled or begun too often, and the places are counted rightly", arguments: 0..<20)
    func model(seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        var queue = Queue(limits: limits(running: 3, perConnection: 4, total: 30))
        let connections = (0..<6).map { _ in Connection() }
        var held: [String: Queue.Ticket] = [:]
        var running: [String: Queue.Ticket] = [:]
        for step in 0..<5000 {
            switch Int.random(in: 0..<6, using: &generator) {
            case 0...2:
                let party = Int.random(in: 0..<6, using: &generator)
                let asker = asker(party, Bool.random(using: &generator) ? connections[party] : nil)
                var evicted: [String] = []
                if let ticket = add("\(step)", asker, to: &queue, evicted: &evicted) { held["\(step)"] = ticket }
                for check in evicted { #expect(held.removeValue(forKey: check) != nil && running[check] == nil) }
            case 3:
                let next = queue.begin()
                if running.count == 3 { #expect(next == nil) }
                if running.count < 3, held.keys.contains(where: { running[$0] == nil }) { #expect(next != nil) }
                if let next { #expect(running.updateValue(next.ticket, forKey: next.check) == nil) }
            case 4:
                guard let (check, ticket) = running.randomElement(using: &generator) else { break }
                running[check] = nil
                #expect((queue.end(ticket) == nil) == (held.removeValue(forKey: check) == nil))
            default:
                guard let (check, ticket) = held.randomElement(using: &generator) else { break }
                held[check] = nil
                #expect(queue.remove(ticket) == check)
            }
            #expect(queue.count == held.count && queue.count <= 30)
        }
    }
}
