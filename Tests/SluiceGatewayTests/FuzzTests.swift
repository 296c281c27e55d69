// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    /// 100,000 hostile inputs, half of them HTTP and half of them through Redis; SLUICE_TEST_FUZZ sets another number.
    /// The seed is printed where something fails: the same seed gives the same inputs.
    @Suite("withstands hostile input")
    struct FuzzTests {
        private static let count =
            ProcessInfo.processInfo.environment["SLUICE_TEST_FUZZ"].flatMap { Int($0) } ?? 100_000
        private static let seed =
            ProcessInfo.processInfo.environment["SLUICE_TEST_SEED"].flatMap { UInt64($0) } ?? 20_250_101

        /// A subscriber whose events nobody else can publish: what it gets must be exactly those.
        private actor Control {
            private let test: TestNode
            let stream: EventStreamClient
            private var published = 0
            private var isStopped = false

            init(_ test: TestNode) async throws {
                self.test = test
                stream = try await test.stream("/events?topic=control")
            }

            /// One at a time: what is published at once has no order.
            func publish() async throws {
                let number = published + 1
                try await test.publish(#"{"topic":"control","event":"control","data":"\#(number)"}"#)
                published = number
            }

            /// Publishes until it is told to stop; not cancelled, for then it would not know what it has published.
            func go() async throws {
                while !isStopped {
                    try await publish()
                    try await Task.sleep(for: .milliseconds(50))
                }
            }

            func stop() {
                isStopped = true
            }

            func expectExactlyItsEvents() async {
                let count = published
                let last = "\(count)"
                #expect(
                    await stream.waits(within: 60) { $0.events.contains { $0.type == "control" && $0.data == last } })
                let data = stream.now.events.filter { $0.type == "control" }.map(\.data)
                #expect(data == (1...count).map(String.init), "seed \(FuzzTests.seed)")
                #expect(
                    stream.now.openings == 1 && stream.now.failure == nil, "\(String(describing: stream.now.failure))")
                #expect(stream.now.ignored.isEmpty, "\(stream.now.ignored)")
            }
        }

        @Test(
            "Hostile HTTP harms no subscriber, and leaves no descriptor behind",
            .timeLimit(.minutes(6)), arguments: BrokerKind.allCases)
        func http(broker: BrokerKind) async throws {
            // The heartbeat finds who has shut its sending side, and then gone.
            let test = try await TestNode.start(
                broker, ["--max-body", "16KiB", "--max-event", "4KiB", "--heartbeat", "2s"])
            let control = try await Control(test)
            try await control.publish()
            #expect(await control.stream.receives(1))
            let before = test.node.sockets
            let publishing = Task { try await control.go() }
            let total = FuzzTests.count / 2 / BrokerKind.allCases.count
            let lanes = 4
            try await withThrowingTaskGroup(of: Void.self) { group in
                for lane in 0..<lanes {
                    group.addTask {
                        try await FuzzTests.attack(
                            test, seed: FuzzTests.seed &+ UInt64(lane), count: total / lanes)
                    }
                }
                try await group.waitForAll()
            }
            await control.stop()
            try await publishing.value
            await control.expectExactlyItsEvents()
            #expect(test.node.isRunning, "seed \(FuzzTests.seed): \(test.node.output.suffix(2000))")
            #expect(
                await eventually(within: 30) { test.node.sockets <= before }, "\(before), \(test.node.sockets)")
            #expect(await eventually { try await test.node.metric("streams") == 1 })
        }

        /// Sends `count` requests, over as few connections as they allow.
        private static func attack(_ test: TestNode, seed: UInt64, count: Int) async throws {
            var requests = HostileRequests(seed: seed)
            var left = count
            while left > 0 {
                switch requests.number(0...9) {
                case 0...3:
                    let part = min(left, requests.number(20...60))
                    left -= try await pipeline((0..<part).map { _ in requests.plausible() }, to: test, seed: seed)
                case 4: try await send(requests.garbage(1...400), to: test, &requests)
                default: try await send(requests.mutated(), to: test, &requests)
                }
                left -= 1
            }
        }

        /// Requests that are all answered, one by one, unless an answer says that the connection ends.
        ///
        /// - Returns: how many were answered.
        private static func pipeline(
            _ requests: [(bytes: [UInt8], method: String)], to test: TestNode, seed: UInt64
        ) async throws -> Int {
            let connection = try await HTTPConnection(port: test.port)
            let socket = connection.socket
            let bytes = requests.flatMap(\.bytes)
            // It fails where the node has closed the connection for good reason.
            let sending = Task { try? await socket.send(bytes) }
            var answered = 0
            for request in requests {
                let answer: HTTPAnswer
                do { answer = try await connection.receive(method: request.method, within: 30) } catch {
                    // A close with unread bytes is a reset, which may overtake the answer.
                    #expect(
                        await answersStill(test),
                        "seed \(seed): \(String(decoding: request.bytes, as: UTF8.self)): \(error)")
                    break
                }
                answered += 1
                if answer.status >= 400, answer["Content-Type"] != "application/json", request.method != "HEAD" {
                    Issue.record(
                        "seed \(seed): \(answer.status) without JSON: \(String(decoding: request.bytes, as: UTF8.self))"
                    )
                }
                if answer["Connection"] == "close" { break }
            }
            await connection.close()
            await sending.value
            return answered
        }

        private static func answersStill(_ test: TestNode) async -> Bool {
            (try? await request(test.port, "GET", "/healthz").status) == 200
        }

        /// Bytes in one piece or several, then whatever end.
        private static func send(_ bytes: [UInt8], to test: TestNode, _ requests: inout HostileRequests) async throws {
            let socket = try await RawSocket(port: test.port)
            var rest = bytes[...]
            let isSplit = requests.number(0...3) == 0
            while !rest.isEmpty {
                let part = rest.prefix(isSplit ? requests.number(1...40) : rest.count)
                rest = rest.dropFirst(part.count)
                do { try await socket.send(Array(part)) } catch { break }
                if isSplit { await Task.yield() }
            }
            switch requests.number(0...3) {
            case 0: socket.reset()
            case 1: socket.close()
            default:
                socket.finishSending()
                _ = try? await socket.receive(within: 0.01)
                socket.close()
            }
        }

        @Test(
            "Hostile payloads on its channels harm no subscriber, and leave no descriptor behind",
            .timeLimit(.minutes(6)))
        func redis() async throws {
            let test = try await TestNode.start(.redis, ["--max-event", "64KiB"])
            let control = try await Control(test)
            let victims = [
                try await test.stream("/events?topic=h&client=h"), try await test.stream("/events?client=h&topic=i"),
            ]
            try await control.publish()
            let before = test.node.sockets
            let client = try await RedisClient(try #require(test.redis))
            var hostile = HostileRequests(seed: FuzzTests.seed)
            let channels = [
                "sluice:topic:h", "sluice:topic:h", "sluice:client:h", "sluice:all", "sluice:control", "sluice:x",
                "sluice:node:\(test.node.id)",
            ]
            var left = FuzzTests.count / 2
            while left > 0 {
                let part = min(left, 500)
                left -= part
                let commands = (0..<part).map { _ -> [[UInt8]] in
                    let channel = Array(channels[hostile.number(0...channels.count - 1)].utf8)
                    if hostile.number(0...19) == 0 {
                        let options = (0..<hostile.number(0...4)).map { _ in hostile.garbage(0...8) }
                        return [Array("FCALL".utf8), Array("sluice_publish".utf8), [0x31], channel] + options
                    }
                    return [Array("PUBLISH".utf8), channel, hostile.payload()]
                }
                try await client.pipeline(commands)
                try await control.publish()
            }
            await control.expectExactlyItsEvents()
            #expect(test.node.isRunning, "seed \(FuzzTests.seed): \(test.node.output.suffix(2000))")
            #expect(test.node.sockets <= before)
            #expect(try await test.node.metric("events_dropped_total{reason=\"malformed\"}") > 0)
            for stream in victims {
                #expect(stream.now.openings == 1 && stream.now.failure == nil)
                #expect(stream.now.ignored.isEmpty)
            }
        }
    }
}
