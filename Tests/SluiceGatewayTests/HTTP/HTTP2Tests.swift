// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    @Suite("serves many streams on one HTTP/2 connection")
    struct HTTP2Tests {
        /// Publishes events that begin with their number and have `size` more bytes.
        private func publish(_ test: TestNode, _ range: Range<Int>, size: Int) async throws {
            let client = try await RedisClient(try #require(test.redis))
            let padding = String(repeating: "x", count: size)
            try await client.pipeline(
                range.map { ["PUBLISH", "sluice:topic:t", "\($0) \(padding)"].map { Array($0.utf8) } })
        }

        /// The numbers of the events in `bytes`, and whether there is a gap.
        private func numbers(_ parser: inout ReferenceParser, _ bytes: [UInt8]) -> (events: [Int], hasGap: Bool) {
            let events = parser.feed(bytes)
            return (
                events.compactMap { Int($0.data.prefix { $0 != " " }) }, events.contains { $0.type == "gap" }
            )
        }

        @Test(
            "A stream whose window is closed delays nobody on its connection and costs little, and gets everything once it opens",
            .timeLimit(.minutes(2)), arguments: [Transport.h2c, .tlsHTTP2])
        func closedWindow(transport: Transport) async throws {
            let test = try await TestNode.start(
                .redis, over: transport, ["--ring", "64MiB", "--threads", "1", "--stall", "1m"])
            var options = HTTP2Client.Options()
            options.transport = transport
            let client = try await HTTP2Client(port: test.port, options)
            let streams = (0..<100).map { _ in client.open("GET", "/events?topic=t&checkpoints=0") }
            #expect(await eventually { streams.allSatisfy { client[$0].answer?.status == 200 } })
            let closed = streams[0]
            client.hold(closed)
            var parsers = Dictionary(uniqueKeysWithValues: streams.map { ($0, ReferenceParser()) })
            var received = Dictionary(uniqueKeysWithValues: streams.map { ($0, [Int]()) })
            func drain(_ streams: some Sequence<Int>) {
                for stream in streams {
                    received[stream]? +=
                        numbers(&parsers[stream, default: ReferenceParser()], client.take(stream)).events
                }
            }
            // The first part fills the ring's share and the buffers of everybody.
            var before = 0
            let parts = 10
            let perPart = 5
            for part in 0..<parts {
                try await publish(test, part * perPart..<(part + 1) * perPart, size: 10_000)
                let expected = Array(0..<(part + 1) * perPart)
                let isThere = await eventually {
                    drain(streams.dropFirst())
                    return streams.dropFirst().allSatisfy { received[$0] == expected }
                }
                #expect(isThere, "part \(part)")
                if part == 3 { before = test.node.memory }
            }
            #expect(test.node.memory - before < 8 << 20)
            drain([closed])
            #expect((received[closed]?.count ?? 0) < 10)
            #expect(client[closed].received <= 65535)
            // Its debt is paid with what it takes next, and that needs a beginning.
            client.hold(closed, false)
            client.send(.windowUpdate(stream: closed, by: 65535))
            let hasAll = await eventually {
                drain([closed])
                return received[closed] == Array(0..<parts * perPart)
            }
            #expect(hasAll)
            #expect(client.goAways.isEmpty && client.failure == nil)
        }

        @Test(
            "50 MB that one stream does not take cost the node less than the ring and 2 MB more",
            .timeLimit(.minutes(4)))
        func bounded() async throws {
            let test = try await TestNode.start(
                .redis, over: .h2c,
                ["--ring", "4MiB", "--threads", "1", "--stall", Sanitizer.isOn ? "5m" : "1m"])
            let client = try await HTTP2Client(port: test.port)
            let good = client.open("GET", "/events?topic=t&checkpoints=0")
            let closed = client.open("GET", "/events?topic=t&checkpoints=0")
            #expect(await eventually { [good, closed].allSatisfy { client[$0].answer?.status == 200 } })
            client.hold(closed)
            var before = 0
            for part in 0..<50 {
                try await publish(test, part * 20..<(part + 1) * 20, size: 50_000)
                let isThere = await eventually {
                    _ = client.take(good)
                    return client[good].received > (part + 1) * 20 * 50_000
                }
                #expect(isThere, "part \(part)")
                // By then the ring is full, and whatever a publish needs was needed.
                if part == 24 { before = test.node.memory }
            }
            #expect(test.node.memory - before < 2 << 20)
            // And then it goes on, with a gap where the ring has passed it.
            var slow = ReferenceParser()
            var last = 0
            var hasGap = false
            client.send(.windowUpdate(stream: closed, by: 1 << 20))
            client.hold(closed, false)
            let isBack = await eventually(within: 30) {
                let (events, gap) = numbers(&slow, client.take(closed))
                #expect(events == events.sorted() && (events.first ?? last) >= last)
                last = events.last ?? last
                hasGap = hasGap || gap
                return last == 999
            }
            #expect(isBack && hasGap)
        }

        @Test(
            "A stream that takes nothing is reset after --stall, and the connection's others go on",
            .timeLimit(.minutes(1)), arguments: [Transport.h2c, .tlsHTTP2])
        func stall(transport: Transport) async throws {
            let test = try await TestNode.start(.redis, over: transport, ["--stall", "1s", "--heartbeat", "300ms"])
            var own = HTTP2Client.Options()
            own.transport = transport
            let client = try await HTTP2Client(port: test.port, own)
            var options = test.over()
            options.connection = client
            let good = try await test.stream("/events?topic=t", options)
            let bad = client.open("GET", "/events?topic=t")
            #expect(await eventually { client[bad].answer != nil })
            client.hold(bad)
            try await publish(test, 0..<10, size: 20_000)
            #expect(await good.receives(10))
            #expect(await eventually(within: 5) { client[bad].reset != nil })
            #expect(try await test.node.metric("streams_ended_total{reason=\"stalled\"}") == 1)
            try await publish(test, 10..<11, size: 1)
            #expect(await good.receives(11))
            #expect(good.now.openings == 1 && !client.isEnded && client.goAways.isEmpty)
        }

        @Test("--max-http2-streams is announced; who opens more loses the connection", .timeLimit(.minutes(1)))
        func concurrentStreams() async throws {
            let test = try await TestNode.start(.memory, ["--max-http2-streams", "12"])
            let client = try await HTTP2Client(port: test.port)
            #expect(await eventually { client.concurrentStreamsMax == 12 })
            let streams = (0..<12).map { _ in client.open("GET", "/events?topic=t") }
            #expect(await eventually { streams.allSatisfy { client[$0].answer?.status == 200 } })
            client.reset(streams[0])
            #expect(await eventually { try await test.node.metric("streams") == 11 })
            let again = client.open("GET", "/events?topic=t")
            #expect(await eventually { client[again].answer?.status == 200 })
            _ = client.open("GET", "/events?topic=t")
            #expect(await eventually { client.isEnded })
            #expect(client.goAways.last?.code == .protocolError)
            #expect(await eventually { try await test.node.metric("streams") == 0 })
            #expect(await eventually { try await test.node.metric("connections") == 0 })
        }

        @Test(
            "A large body is published in one piece, and one over --max-body is a 413", .timeLimit(.minutes(1)),
            arguments: [Transport.h2c, .tlsHTTP2])
        func bodies(transport: Transport) async throws {
            let test = try await TestNode.start(.memory, over: transport, ["--max-body", "2MiB"])
            let stream = try await test.stream("/events?topic=t")
            let data = String(repeating: "ä", count: 500_000)
            try await test.publish(#"{"topic":"t","data":"\#(data)"}"#)
            #expect(await stream.receives(1))
            #expect(stream.data == [data])
            var options = HTTP2Client.Options()
            options.transport = transport
            let client = try await HTTP2Client(port: test.port, options)
            let tooLarge = Array(repeating: UInt8(ascii: " "), count: 3 << 20)
            let unsaid = client.open("POST", "/publish", body: tooLarge)
            let said = client.open("POST", "/publish", headers: ["content-length": "\(3 << 20)"], body: tooLarge)
            for stream in [unsaid, said] {
                #expect(await eventually { client[stream].isEnded })
                #expect(client[stream].answer?.status == 413)
            }
            #expect(try await client.request("GET", "/healthz").status == 200)
        }

        @Test("Expect: 100-continue is answered on HTTP/2, too", .timeLimit(.minutes(1)))
        func expectation() async throws {
            let test = try await TestNode.start(.memory)
            let client = try await HTTP2Client(port: test.port)
            let stream = client.newStream()
            client.send(
                .headers(
                    stream: stream, client.fields("POST", "/publish", ["expect": "100-continue"]), endStream: false))
            #expect(await eventually { client[stream].interim == [100] })
            client.send(HTTP2Frame(.data, flags: .endStream, stream: stream, Array(RawRequest.json.utf8)))
            #expect(await eventually { client[stream].answer?.status == 200 })
        }

        @Test(
            "SIGTERM says GOAWAY, ends the streams cleanly within the drain, and closes the connection",
            .timeLimit(.minutes(1)), arguments: [Transport.h2c, .tlsHTTP2])
        func drain(transport: Transport) async throws {
            let test = try await TestNode.start(.memory, over: transport, ["--drain", "2s"])
            var options = HTTP2Client.Options()
            options.transport = transport
            let client = try await HTTP2Client(port: test.port, options)
            let streams = (0..<10).map { _ in client.open("GET", "/events?topic=t") }
            #expect(await eventually { streams.allSatisfy { client[$0].received > 0 } })
            test.node.signal(SIGTERM)
            #expect(await eventually { !client.goAways.isEmpty })
            #expect(client.goAways.first?.code == .noError)
            #expect(streams.contains { !client[$0].isOver })
            #expect(await eventually { streams.allSatisfy { client[$0].isOver } })
            for stream in streams {
                #expect(client[stream].isEnded && client[stream].reset == nil)
                #expect(String(decoding: client.take(stream), as: UTF8.self).contains(/\nretry: \d+\n$/))
            }
            #expect(await eventually { client.isEnded })
            #expect(client.goAways.last.map { $0.lastStream >= streams[9] && $0.code == .noError } == true)
            #expect(await test.node.exitCode() == 0)
        }

        @Test(
            "A connection without a stream is told to go after --idle-timeout, and closed if it does not; one with a stream is not",
            .timeLimit(.minutes(1)))
        func idle() async throws {
            let test = try await TestNode.start(
                .memory, ["--idle-timeout", "1s", "--head-timeout", "300ms", "--heartbeat", "300ms"])
            let polite = try await HTTP2Client(port: test.port)
            var options = HTTP2Client.Options()
            options.answersPings = false
            let deaf = try await HTTP2Client(port: test.port, options)
            let used = try await HTTP2Client(port: test.port)
            let stream = used.open("GET", "/events?topic=t")
            #expect(try await polite.request("GET", "/healthz").status == 200)
            #expect(await eventually(within: 5) { polite.isEnded })
            #expect(polite.goAways.first?.code == .noError)
            #expect(await eventually(within: 10) { deaf.isEnded })
            #expect(!deaf.goAways.isEmpty)
            #expect(!used.isEnded && used.goAways.isEmpty && !used[stream].isOver)
            #expect(try await test.node.metric("connections") == 1)
            used.reset(stream)
            #expect(await eventually(within: 5) { used.isEnded })
        }
    }
}
