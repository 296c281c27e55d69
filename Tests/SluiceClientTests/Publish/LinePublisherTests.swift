// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import Testing

@testable import SluiceClient

@Suite struct LinePublisherTests {
    /// Publishes until its script says otherwise: an entry is about the next event that comes, and used up by it. Those behind
    /// one that is to come later get the same answer, as from a node.
    private actor Route: PublishRoute {
        typealias Outcome = Result<Receipt, ClientError>

        private(set) var published: [String] = []
        private var tokens: Set<String> = []
        private var script: [Int: Outcome]
        private var count = 0

        init(_ script: [Int: Outcome] = [:]) {
            self.script = script
        }

        func publish(_ publications: [Publication]) -> [Outcome] {
            var halt: Outcome?
            return publications.map { publication in
                if let halt { return halt }
                count += 1
                switch script[count] {
                case .failure(let error)? where error.kind != .refused:
                    // With an answer that is lost it was published; those behind it share its fate.
                    if error.kind == .unknown { take(publication) }
                    halt = .failure(error)
                    return .failure(error)
                case let result?: return result
                case nil:
                    take(publication)
                    return .success(Receipt(id: nil, nodes: 0))
                }
            }
        }

        private func take(_ publication: Publication) {
            if let once = publication.once, !tokens.insert(once).inserted { return }
            published.append(String(buffer: publication.event.data))
        }

        func connect() {}
        func close() {}
    }

    private func publish(
        _ lines: [String], to route: Route, limit: TimeAmount = .seconds(30), token: String? = "t"
    ) async -> (error: String?, receipts: Int) {
        var receipts = 0
        let progress = PublishProgress()
        var publisher = LinePublisher(
            Publisher(route: route), like: Publication(Event(ByteBuffer()), to: .all, once: token),
            dataBytesMax: 10,
            patience: PublishPatience(limit: limit),
            progress: progress, report: { _ in receipts += 1 }, note: { _ in })
        do {
            try await publisher.publish(lines.map { ByteBuffer(string: $0) })
            try await publisher.end()
            return (nil, receipts)
        } catch {
            return ("\(error)", receipts)
        }
    }

    private static let lines = (1...1000).map { "\($0)" }

    @Test("What passes is waited for: each line is published once, in order, and has one receipt")
    func goesOn() async {
        let route = Route([
            3: .failure(ClientError("slow down", .later(after: .milliseconds(1)))),
            300: .failure(ClientError("lost", .unknown)),
            301: .failure(ClientError("away", .later(after: nil))), 700: .failure(ClientError("lost", .unknown)),
        ])
        let (error, receipts) = await publish(LinePublisherTests.lines, to: route)
        #expect(error == nil)
        #expect(receipts == 1000)
        #expect(await route.published == LinePublisherTests.lines)
    }

    @Test("What does not pass ends it, and what ends it says where")
    func stops() async {
        let refused = Route([301: .failure(ClientError("no right"))])
        let (error, receipts) = await publish(LinePublisherTests.lines, to: refused)
        #expect(error == "line 301: no right; lines 1 to 300 are published, and 211 behind line 301")
        #expect(receipts == 511)
        let impatient = Route([2: .failure(ClientError("slow down", .later(after: .seconds(1))))])
        #expect(
            await publish(["a", "b", "c"], to: impatient, limit: .zero).error
                == "line 2: slow down; line 1 is published")
        #expect(await impatient.published == ["a"])
    }

    @Test("A line whose answer was lost is not tried again without a token")
    func unknown() async {
        let route = Route([2: .failure(ClientError("lost", .unknown))])
        #expect(
            await publish(["a", "b", "c"], to: route, token: nil).error
                == "line 2: lost; it may be published, too; line 1 is published")
        #expect(await route.published == ["a", "b"])
    }

    @Test("A line that is too long is not passed by those behind it")
    func tooLong() async {
        let route = Route()
        let (error, _) = await publish(["a", "b", "0123456789x", "c"], to: route)
        #expect(error?.hasPrefix("line 3: more than 10 bytes") == true)
        #expect(await route.published == ["a", "b"])
    }
}
