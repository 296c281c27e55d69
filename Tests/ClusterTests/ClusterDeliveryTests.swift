// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension ClusterTests {
    @Suite("delivers")
    struct DeliveryTests {
        @Test(
            "What is pushed to any node, or from redis-cli, reaches every subscriber on whichever node it is, once and in order",
            .timeLimit(.minutes(3)), arguments: LoadBalancer.Kind.allCases)
        func delivers(kind: LoadBalancer.Kind) async throws {
            let cluster = try await Cluster.start(kind)
            // Through the load balancer, and one on each node so that none is left out.
            var streams: [(stream: EventStreamClient, client: String, topics: [String])] = []
            for number in 0..<12 {
                let port = number < 9 ? cluster.port : cluster.nodes[number - 9].port
                let client = "c\(number % 4)"
                let stream = try await EventStreamClient.opened(
                    port: port, "/events?client=\(client)&topic=news&topic=t\(number % 2)")
                streams.append((stream, client, ["news", "t\(number % 2)"]))
            }
            let nodes = Set(streams.flatMap { $0.stream.now.nodes })
            #expect(nodes == ["node1", "node2", "node3"])

            var published: [(target: String, data: String)] = []
            for round in 0..<6 {
                for target in ["client:c\(round % 4)", "topic:news", "topic:t\(round % 2)", "all"] {
                    for node in cluster.nodes {
                        let data = "\(published.count) post \(node.id)"
                        try await cluster.publish("{\(try member(target)),\"data\":\"\(data)\"}", port: node.port)
                        published.append((target, data))
                    }
                    var data = "\(published.count) PUBLISH"
                    #expect(try await cluster.redis.cli("PUBLISH", "sluice:\(target)", data) != "0")
                    published.append((target, data))
                    data = "\(published.count) FCALL"
                    let reply = try await cluster.redis.cli("FCALL", "sluice_publish", "1", "sluice:\(target)", data)
                    #expect(reply.contains(/^\d+-\d+\n[1-3]$/), "\(reply)")
                    published.append((target, data))
                    data = "\(published.count) balanced"
                    try await cluster.publish("{\(try member(target)),\"data\":\"\(data)\"}")
                    published.append((target, data))
                }
            }
            for (stream, client, topics) in streams {
                let wanted = Set(["all", "client:\(client)"] + topics.map { "topic:\($0)" })
                let expected = published.filter { wanted.contains($0.target) }.map(\.data)
                #expect(await stream.receives(expected.count, within: 30))
                #expect(stream.data == expected)
                #expect(stream.now.openings == 1 && stream.now.ignored.isEmpty)
            }
        }

        private func member(_ target: String) throws -> String {
            let parts = target.split(separator: ":")
            return parts.count == 2 ? "\"\(parts[0])\":\"\(parts[1])\"" : "\"all\":true"
        }

        @Test(
            "The load balancer passes events at once, in whole blocks, from 0 bytes to 1 MB",
            .timeLimit(.minutes(2)), arguments: LoadBalancer.Kind.allCases)
        func sizes(kind: LoadBalancer.Kind) async throws {
            let cluster = try await Cluster.start(kind)
            let streams = [try await cluster.stream("/events?topic=t"), try await cluster.stream("/sse?client_id=c")]
            let client = try await RedisClient(cluster.redis)
            var expected: [String] = []
            for size in [0, 1, 100, 4096, 65536, 1_000_000, 1_048_576, 5] {
                let text =
                    String(repeating: "0123456789abcdef\n", count: size / 17) + String(repeating: "x", count: size % 17)
                for channel in ["sluice:topic:t", "sluice:client:c"] {
                    try await client.publish(channel, Array(text.utf8))
                    try await client.command("FCALL", "sluice_publish", "1", channel, text)
                }
                let json = String(decoding: try JSONEncoder().encode(text), as: UTF8.self)
                try await cluster.publish(#"{"topic":"t","client":"c","data":\#(json)}"#)
                expected += [text, text, text]
                // Each before the next is published: nothing on the way waits for more.
                for stream in streams { #expect(await stream.receives(expected.count, within: 30)) }
            }
            for stream in streams { #expect(stream.data == expected) }
        }

        @Test(
            "The answers for clients pass the load balancer as the node gave them",
            .timeLimit(.minutes(1)), arguments: LoadBalancer.Kind.allCases)
        func answers(kind: LoadBalancer.Kind) async throws {
            let cluster = try await Cluster.start(kind)
            let stream = try await cluster.stream("/events?topic=a")
            #expect(
                await stream.waits { $0.events.first?.type == "checkpoint" && $0.comments > 0 && $0.retries.count == 1 }
            )
            #expect(stream.now.answer?["Content-Type"] == "text/event-stream; charset=utf-8")
            #expect(stream.now.answer?["Cache-Control"] == "no-cache, no-store, no-transform")
            for (method, target, status) in [
                ("GET", "/events?client=c&client=d", 400), ("GET", "/nothing", 404), ("DELETE", "/publish", 405),
                ("OPTIONS", "/publish", 204),
                ("GET", "/push?client_id=c&message=m", 200), ("HEAD", "/", 200),
            ] {
                let answer = try await request(cluster.port, method, target)
                #expect(answer.status == status, "\(target)")
                #expect(answer["Sluice-Node"] != nil, "\(target)")
                #expect(answer.all("Access-Control-Allow-Origin") == ["*"], "\(target)")
            }
            let large = try await request(
                cluster.port, "POST", "/publish", headers: ["Content-Type": "application/json"],
                body: Array(#"{"topic":"a","data":"\#(String(repeating: "x", count: 1_048_577))"}"#.utf8))
            #expect(large.status == 413)
            #expect(large.json?["error"] as? String == "payload_too_large")
        }
    }
}
