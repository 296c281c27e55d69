// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import SluiceGateway
import Testing

@Suite("The queue of events to publish")
struct PublishQueueTests {
    private static func publications(_ name: String, _ count: Int) throws -> [Publication] {
        try (0..<count).map { Publication(Event(ByteBuffer(string: "x")), to: try .topic("\(name)\($0)")) }
    }

    @Test("has no more under way than its window, however many are asked for")
    func window() throws {
        var queue = PublishQueue(window: 4)
        let ticket = queue.add(try PublishQueueTests.publications("a", 1000))
        var sent: [Int] = []
        while let next = queue.next() { sent.append(next.index) }
        #expect(sent == [0, 1, 2, 3])
        _ = queue.answered(ticket, 2, .success(Receipt(id: nil, nodes: 1)))
        while let next = queue.next() { sent.append(next.index) }
        #expect(sent == [0, 1, 2, 3, 4])
    }

    @Test("lets requests take turns: one event does not wait for a thousand")
    func turns() throws {
        var queue = PublishQueue(window: 1)
        let large = queue.add(try PublishQueueTests.publications("large", 1000))
        for _ in 0..<3 {
            let sent = queue.next()
            let next = try #require(sent)
            _ = queue.answered(next.ticket, next.index, .success(Receipt(id: nil, nodes: 0)))
        }
        let small = queue.add(try PublishQueueTests.publications("small", 1))
        var before = 0
        while let next = queue.next(), next.ticket == large {
            before += 1
            _ = queue.answered(next.ticket, next.index, .success(Receipt(id: nil, nodes: 0)))
        }
        #expect(before <= 8)
        let answer = queue.answered(small, 0, .success(Receipt(id: nil, nodes: 7)))
        #expect(answer == [.success(Receipt(id: nil, nodes: 7))])
    }

    @Test("answers a request once, in its own order, whatever the order of the answers")
    func answers() throws {
        var generator = SystemRandomNumberGenerator()
        var queue = PublishQueue(window: 16)
        var wanted: [PublishQueue.Ticket: Int] = [:]
        var answers: [PublishQueue.Ticket: [Result<Receipt, PublishFailure>]] = [:]
        var underWay: [(ticket: PublishQueue.Ticket, index: Int)] = []
        var order: [PublishQueue.Ticket: [Int]] = [:]
        var bytes = 0
        for step in 0..<5000 {
            switch Int.random(in: 0..<4, using: &generator) {
            case 0 where wanted.count < 200:
                let publications = try PublishQueueTests.publications(
                    "\(step)-", Int.random(in: 1...40, using: &generator))
                wanted[queue.add(publications)] = publications.count
                bytes += publications.reduce(0) { $0 + $1.bytes }
            case 1, 2:
                if let next = queue.next() {
                    underWay.append((next.ticket, next.index))
                    order[next.ticket, default: []].append(next.index)
                    bytes -= next.publication.bytes
                }
            default:
                guard let place = underWay.indices.randomElement(using: &generator) else { continue }
                let (ticket, index) = underWay.remove(at: place)
                let result: Result<Receipt, PublishFailure> =
                    index.isMultiple(of: 3)
                    ? .failure(.unavailable("\(index)")) : .success(Receipt(id: nil, nodes: index))
                if let all = queue.answered(ticket, index, result) {
                    #expect(answers.updateValue(all, forKey: ticket) == nil)
                }
            }
            #expect(queue.bytes == bytes)
            #expect(underWay.count <= 16)
        }
        #expect(answers.count > 20)
        for (ticket, results) in answers {
            #expect(results.count == wanted[ticket])
            #expect(order[ticket] == Array(0..<results.count))
            for (index, result) in results.enumerated() {
                switch result {
                case .success(let receipt): #expect(receipt.nodes == index)
                case .failure(let failure): #expect(failure == .unavailable("\(index)"))
                }
            }
        }
    }
}
