// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    /// What Redis, or the way to it, loses is read from the logs, once for all streams.
    @Suite("repairs its feed", .timeLimit(.minutes(2)))
    struct RepairTests {
        private func publish(_ redis: RedisServer, _ topic: String, _ data: String) async throws {
            try await redis.cli("FCALL", "sluice_publish", "1", "sluice:topic:\(topic)", data)
        }

        @Test("A feed that is killed while events are published loses none; the streams stay open")
        func killedFeed() async throws {
            let test = try await TestNode.start(.redis)
            let redis = try #require(test.redis)
            let one = try await test.stream("/events?topic=t")
            let two = try await test.stream("/events?topic=t&topic=u")
            for number in 1...60 {
                if number.isMultiple(of: 15) { try await redis.cli("CLIENT", "KILL", "TYPE", "pubsub") }
                try await publish(redis, "t", "\(number)")
            }
            #expect(await one.receives(60))
            #expect(await two.receives(60))
            #expect(one.data == (1...60).map(String.init) && two.data == one.data)
            #expect(one.now.openings == 1 && !one.now.events.contains { $0.type == "gap" })
            #expect(try await test.node.metric("repairs_total") >= 1)
        }

        @Test("A restart of Redis with its data loses none; the streams stay open")
        func restartWithData() async throws {
            let directory = FileManager.default.temporaryDirectory.appending(path: "sluice-\(UUID().uuidString)").path
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: directory) }
            let first = try await RedisServer(directory: directory)
            let node = try await NodeProcess(redis: first)
            let client = try await EventStreamClient.opened(port: node.port, "/events?topic=t")
            for number in 1...5 { try await publish(first, "t", "\(number)") }
            #expect(await client.receives(5))
            await first.kill()
            let second = try await RedisServer(port: first.port, directory: directory)
            // The node is not back yet: these come by the repair.
            for number in 6...8 { try await publish(second, "t", "\(number)") }
            #expect(await client.receives(8))
            #expect(client.data == (1...8).map(String.init) && client.now.openings == 1)
            #expect(!client.now.events.contains { $0.type == "gap" })
        }

        @Test("A restart of Redis without its data is a gap, never silence; the stream goes on")
        func restartWithoutData() async throws {
            let first = try await RedisServer()
            let node = try await NodeProcess(redis: first)
            let client = try await EventStreamClient.opened(port: node.port, "/events?topic=t")
            try await publish(first, "t", "before")
            #expect(await client.receives(1))
            await first.kill()
            let second = try await RedisServer(port: first.port)
            #expect(await client.waits(within: 30) { $0.events.contains { $0.type == "gap" } })
            #expect(
                await eventually {
                    try await publish(second, "t", "after")
                    return client.data.contains("after")
                })
            #expect(client.now.openings == 1)
        }

        @Test("A Redis whose functions were flushed gets them back: the node publishes and hears its ticks again")
        func functionLost() async throws {
            let test = try await TestNode.start(.redis)
            let redis = try #require(test.redis)
            #expect(try await test.publish(#"{"topic":"t","data":"1"}"#).status == 200)
            try await redis.cli("FUNCTION", "FLUSH")
            #expect(
                await eventually(within: 15) { try await redis.cli("FUNCTION", "LIST").contains("sluice_publish") })
            #expect(
                await eventually {
                    try await TestSupport.publish(test.port, #"{"topic":"t","data":"2"}"#).status == 200
                })
        }

        /// Puts an event into the log as the function does, but publishes nothing: a message that was lost on its way.
        private func lose(_ redis: RedisServer, _ topic: String, _ data: String) async throws {
            let marker = try await redis.cli("GET", "sluice:last:topic:\(topic)")
            let id = "\(UInt64(Date().timeIntervalSince1970 * 1000) + 1)-0"
            try await redis.cli("XADD", "sluice:topic:\(topic)", id, "p", marker.isEmpty ? "-" : marker, "d", data)
            try await redis.cli("SET", "sluice:last:topic:\(topic)", id)
            try await redis.cli("HSET", "sluice:clock", "last", id)
        }

        @Test("A message that was lost in silence is noticed at the next one of its topic, and read from the log")
        func chain() async throws {
            let test = try await TestNode.start(.redis)
            let redis = try #require(test.redis)
            let client = try await test.stream("/events?topic=t")
            try await publish(redis, "t", "1")
            #expect(await client.receives(1))
            try await lose(redis, "t", "2")
            try await publish(redis, "t", "3")
            #expect(await client.receives(3))
            #expect(client.data == ["1", "2", "3"])
        }

        @Test("A message that was lost in silence and has no successor is noticed by the tick")
        func audit() async throws {
            let test = try await TestNode.start(.redis)
            let redis = try #require(test.redis)
            let client = try await test.stream("/events?topic=t")
            try await publish(redis, "t", "1")
            #expect(await client.receives(1))
            try await lose(redis, "t", "2")
            #expect(await client.receives(2, within: 15))
            #expect(client.data == ["1", "2"])
        }

        @Test("While Redis is away a publish is refused with 503 and Retry-After, and readyz says so after a while")
        func away() async throws {
            let test = try await TestNode.start(.redis)
            await test.redis?.kill()
            #expect(
                await eventually {
                    let answer = try await TestSupport.publish(test.port, #"{"topic":"t","data":"x"}"#)
                    return answer.status == 503 && answer["Retry-After"] != nil
                })
            #expect(await eventually(within: 15) { try await request(test.port, "GET", "/readyz").status == 503 })
            #expect(try await request(test.port, "GET", "/healthz").status == 200)
        }
    }
}
