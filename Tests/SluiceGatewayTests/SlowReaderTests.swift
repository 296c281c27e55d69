// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    @Suite("bears clients that take nothing")
    struct SlowReaderTests {
        private static let slow: EventStreamClient.Options = {
            var options = EventStreamClient.Options()
            options.receiveBuffer = 4096
            return options
        }()

        /// Publishes `count` events of `size` bytes over one connection.
        private func flood(_ test: TestNode, topic: String, count: Int, size: Int) async throws {
            let client = try await RedisClient(try #require(test.redis))
            let data = Array(repeating: UInt8(ascii: "x"), count: size)
            var left = count
            while left > 0 {
                let part = min(left, 16)
                try await client.pipeline(
                    Array(repeating: [Array("PUBLISH".utf8), Array("sluice:topic:\(topic)".utf8), data], count: part))
                left -= part
            }
        }

        @Test(
            "A stream that stops reading is closed after --stall; the others miss nothing",
            .timeLimit(.minutes(2)), arguments: Stage.redis)
        func stall(stage: Stage) async throws {
            let test = try await TestNode.start(stage, ["--stall", "2s", "--ring", "64MiB", "--heartbeat", "500ms"])
            let good = try await test.stream("/events?topic=t")
            let bad = try await test.stream("/events?topic=t", SlowReaderTests.slow)
            bad.pause()
            try await flood(test, topic: "t", count: 200, size: 65536)
            #expect(await good.receives(200, within: 60))
            #expect(await eventually(within: 30) { try await test.node.metric("streams") == 1 })
            #expect(try await test.node.metric("streams_behind") == 0)
            #expect(try await test.node.metric("streams_ended_total{reason=\"stalled\"}") == 1)
            try await test.publish(#"{"topic":"t","data":"after"}"#)
            #expect(await good.receives(201))
            #expect(good.data.last == "after")
            #expect(good.now.openings == 1 && !good.now.isOver)
        }

        @Test(
            "A stream that reads slowly, but reads, gets everything that the ring holds",
            .timeLimit(.minutes(2)), arguments: Stage.redis)
        func slowButAlive(stage: Stage) async throws {
            let test = try await TestNode.start(stage, ["--stall", Sanitizer.isOn ? "60s" : "5s", "--ring", "64MiB"])
            let slow = try await test.stream("/events?topic=t", SlowReaderTests.slow)
            slow.pause()
            try await flood(test, topic: "t", count: 150, size: 65536)
            for number in 0..<50 { try await test.publish(#"{"topic":"t","data":"\#(number)"}"#) }
            try await Task.sleep(for: .milliseconds(500))
            #expect(try await test.node.metric("streams_behind") == 1)
            #expect(try await test.node.metric("ring_bytes") > 150 * 65536)
            slow.resume()
            #expect(await slow.receives(200, within: 60))
            let data = slow.data
            #expect(data.prefix(150).allSatisfy { $0.utf8.count == 65536 })
            #expect(Array(data.suffix(50)) == (0..<50).map(String.init))
            #expect(slow.now.failure == nil && slow.now.openings == 1)
            #expect(await eventually { try await test.node.metric("streams_behind") == 0 })
        }

        @Test(
            "What waits for silent streams is bounded by the ring, and a stream that the ring has passed is ended",
            .timeLimit(.minutes(2)))
        func bounded() async throws {
            let test = try await TestNode.start(.redis, ["--stall", "5s", "--ring", "4MiB", "--threads", "1"])
            let good = try await test.stream("/events?topic=t")
            var count = 0
            // A burst that the ring holds, and only then the next: the good stream is never behind.
            func burst() async throws {
                try await flood(test, topic: "t", count: 16, size: 65536)
                count += 16
                #expect(await good.receives(count, within: 60))
            }
            for _ in 0..<4 { try await burst() }
            var silent: [EventStreamClient] = []
            for _ in 0..<20 { silent.append(try await test.stream("/events?topic=t", SlowReaderTests.slow)) }
            for stream in silent { stream.pause() }
            let before = test.node.memory
            // 48 MiB for each of them, if anything were kept for each of them.
            for _ in 0..<48 {
                try await burst()
                #expect(test.node.memory - before < 96 << 20)
            }
            #expect(await eventually(within: 30) { try await test.node.metric("streams") == 1 })
            let over = try await test.node.metric("streams_overrun_total")
            let stalled = try await test.node.metric("streams_ended_total{reason=\"stalled\"}")
            #expect(over + stalled >= 20)
            #expect(!good.now.isOver)
        }

        @Test(
            "Out of descriptors a node keeps the streams it has, says so, and accepts again when some have left",
            .timeLimit(.minutes(2)))
        func descriptors() async throws {
            let node = try await NodeProcess(
                ["--max-streams", "1000", "--max-connections", "1000", "--threads", "1"],
                wrapper: ["prlimit", "--nofile=64:64"])
            // Connections that are there beforehand, since no new ones will get in.
            let publisher = try await HTTPConnection(port: node.port)
            let admin = try await HTTPConnection(port: node.adminPort)
            func get(_ connection: HTTPConnection, _ target: String) async throws -> HTTPAnswer {
                try await connection.send("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n")
                return try await connection.receive()
            }
            func push() async throws -> Int {
                let json = #"{"all":true,"data":"x"}"#
                try await publisher.send(
                    "POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: \(json.utf8.count)\r\n\r\n\(json)")
                return try await publisher.receive().status
            }
            #expect(try await get(publisher, "/healthz").status == 200)
            #expect(try await get(admin, "/healthz").status == 200)

            let streams = (0..<100).map { _ in EventStreamClient(port: node.port, "/events?topic=t") }
            #expect(
                await eventually {
                    NodeProcess.metric("accepts_failed_total", in: try await get(admin, "/metrics").text) > 0
                })
            #expect(await eventually { streams.filter(\.now.isOpen).count >= 10 })
            try await Task.sleep(for: .milliseconds(500))
            let open = streams.filter(\.now.isOpen)
            #expect(open.count < 64)
            #expect(node.output.contains("a connection can't be accepted"))
            #expect(try await push() == 200)
            for stream in open { #expect(await stream.receives(1)) }

            for stream in open.prefix(10) { stream.close() }
            let late = streams.filter { stream in !open.contains { $0 === stream } }
            #expect(await eventually(within: 30) { late.contains { $0.now.isOpen } })
            #expect(try await push() == 200)
            for stream in open.dropFirst(10) { #expect(await stream.receives(2)) }
            for stream in streams { stream.close() }
            #expect(
                await eventually(within: 30) {
                    try await request(node.port, "GET", "/healthz", within: 2).status == 200
                })
        }
    }
}
