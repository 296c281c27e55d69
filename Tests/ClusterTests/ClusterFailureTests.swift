// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension ClusterTests {
    @Suite("survives")
    struct FailureTests {
        private static let quickRetry = ["--retry", "200ms", "--retry-spread", "300ms"]

        @Test(
            "A node that is killed takes no other's streams with it, and its own come back elsewhere by themselves",
            .timeLimit(.minutes(2)), arguments: LoadBalancer.Kind.allCases)
        func nodeKilled(kind: LoadBalancer.Kind) async throws {
            let cluster = try await Cluster.start(kind, FailureTests.quickRetry)
            let clients = (0..<12).map {
                EventStreamClient.reconnecting(port: cluster.port, "/events?topic=t&client=c\($0)")
            }
            for client in clients { #expect(await client.waits { $0.isOpen }) }
            let victim = try #require(cluster.nodes.first { node in clients.contains { $0.now.nodes == [node.id] } })
            let lost = clients.filter { $0.now.nodes == [victim.id] }
            let others = clients.filter { $0.now.nodes != [victim.id] }
            try #require(!others.isEmpty)
            await victim.kill()
            try await cluster.publish(#"{"topic":"t","data":"meanwhile"}"#)
            for client in others {
                #expect(await client.receives(1))
                #expect(client.now.openings == 1)
            }
            for client in lost {
                #expect(await client.waits(within: 30) { $0.isOpen && $0.nodes.last != victim.id && $0.openings > 1 })
                #expect(client.now.answer?.status == 200)
            }
            try await cluster.publish(#"{"topic":"t","data":"after"}"#)
            for client in clients { #expect(await client.waits { $0.messages.last?.data == "after" }) }
            // No answer on the way may have been one that makes an EventSource give up.
            for client in clients { #expect(!client.now.isOver) }
        }

        @Test(
            "A node that drains sends its streams to the others, one by one, without an error",
            .timeLimit(.minutes(2)), arguments: LoadBalancer.Kind.allCases)
        func nodeDrained(kind: LoadBalancer.Kind) async throws {
            let cluster = try await Cluster.start(kind, FailureTests.quickRetry + ["--drain", "4s"])
            let clients = (0..<9).map { EventStreamClient.reconnecting(port: cluster.port, "/events?client=c\($0)") }
            for client in clients { #expect(await client.waits { $0.isOpen }) }
            let victim = cluster.nodes[0]
            victim.signal(SIGTERM)
            #expect(await victim.exitCode() == 0)
            for (number, client) in clients.enumerated() {
                #expect(await client.waits(within: 30) { $0.isOpen && $0.nodes.last != victim.id })
                #expect(client.now.failure == nil)
                try await cluster.publish(#"{"client":"c\#(number)","data":"still here"}"#)
                #expect(await client.waits { $0.messages.last?.data == "still here" })
            }
        }

        @Test(
            "Redis is restarted under load: every stream stays open, and what is published afterwards arrives",
            .timeLimit(.minutes(3)), arguments: LoadBalancer.Kind.allCases)
        func redisRestarted(kind: LoadBalancer.Kind) async throws {
            let cluster = try await Cluster.start(kind, ["--heartbeat", "1s"])
            var streams: [EventStreamClient] = []
            for number in 0..<30 {
                streams.append(try await cluster.stream("/events?topic=t\(number % 5)&client=c\(number)"))
            }
            let ports = cluster.nodes.map(\.port)
            let load = Task {
                var number = 0
                while !Task.isCancelled {
                    number += 1
                    let json = #"{"topic":"t\#(number % 5)","data":"load \#(number)"}"#
                    _ = try? await TestSupport.publish(ports[number % 3], json)
                }
            }
            for stream in streams { #expect(await stream.receives(3)) }
            await cluster.redis.kill()
            let comments = streams.map(\.now.comments)
            for (stream, before) in zip(streams, comments) {
                #expect(await stream.waits { $0.comments > before }, "heartbeats go on without Redis")
            }
            let redis = try await RedisServer(port: cluster.redis.port)
            // Subscribed again on every node: from here on nothing may be lost.
            let channels = ["sluice:all": "3"].merging((0..<30).map { ("sluice:client:c\($0)", "1") }) { $1 }
            let client = try await RedisClient(redis)
            for (channel, count) in channels {
                let isBack = await eventually(within: 30) {
                    try await client.command("PUBSUB", "NUMSUB", channel) == "\(channel) \(count)"
                }
                #expect(isBack, "\(channel)")
            }
            load.cancel()
            await load.value
            // A node that is still repairing what it lost may count the first of these to the loss.
            var probes = 0
            let isRepaired = await eventually(within: 30) {
                probes += 1
                _ = try await publish(ports[probes % 3], #"{"all":true,"data":"probe \#(probes)"}"#)
                return streams.allSatisfy { $0.data.contains { $0.hasPrefix("probe") } }
            }
            #expect(isRepaired)
            for (index, node) in cluster.nodes.enumerated() {
                let isBack = await eventually {
                    try await publish(node.port, #"{"all":true,"data":"back \#(index)"}"#).status == 200
                }
                #expect(isBack)
            }
            #expect(try await redis.cli("PUBLISH", "sluice:all", "back 3") == "3")
            for (number, stream) in streams.enumerated() {
                try await cluster.publish(#"{"client":"c\#(number)","data":"mine"}"#)
                #expect(await stream.waits { $0.messages.last?.data == "mine" })
                let after = stream.data.suffix(5)
                #expect(
                    Array(after) == ["back 0", "back 1", "back 2", "back 3", "mine"],
                    "\(stream.now.nodes) \(stream.now.events.suffix(9))")
                #expect(stream.now.openings == 1 && !stream.now.isOver)
                #expect(Set(stream.data).count == stream.data.count, "an event came twice")
            }
        }

        @Test(
            "Without any node, a stream's request gets a retry instead of an error, and publishing a 5xx in JSON",
            .timeLimit(.minutes(2)), arguments: LoadBalancer.Kind.allCases)
        func noNode(kind: LoadBalancer.Kind) async throws {
            let cluster = try await Cluster.start(kind, FailureTests.quickRetry)
            for node in cluster.nodes { await node.kill() }
            for _ in 0..<5 {
                let answer = try await request(cluster.port, "GET", "/events?topic=a")
                #expect(answer.status == 200)
                // The load balancer's own.
                #expect(answer["Content-Type"] == "text/event-stream")
                #expect(answer.text.wholeMatch(of: /retry: \d+\n:\n/) != nil, "\(answer.text)")
            }
            let refused = try await publish(cluster.port, #"{"topic":"a","data":"x"}"#)
            #expect((502...504).contains(refused.status))
            #expect(refused["Content-Type"] == "application/json")
            #expect(refused.json?["error"] as? String == "unavailable")
        }
    }
}
