// SPDX-License-Identifier: Apache-2.0
import Foundation
import SluiceCore
import SluiceRedis
import TestSupport
import Testing

extension NodeTests {
    /// Streams over several partitions of a real cluster.
    @Suite("carries a cluster's events", .timeLimit(.minutes(2)))
    struct ClusterNodeTests {
        private static let topics = (0..<8).map { "t\($0)" }
        private static let query = "/events?" + topics.map { "topic=\($0)" }.joined(separator: "&")

        private func node(_ cluster: RedisCluster) async throws -> NodeProcess {
            try await NodeProcess(["--redis", cluster.url])
        }

        /// One event for each topic.
        private func publish(_ node: NodeProcess, _ number: Int, to topics: [String] = Self.topics) async throws {
            for topic in topics {
                let answer = try await TestSupport.publish(
                    node.port, #"{"topic":"\#(topic)","data":"\#(topic):\#(number)"}"#)
                #expect(answer.status == 200, "\(answer.text)")
            }
        }

        private func resumed(_ node: NodeProcess, after cursor: String) async throws -> EventStreamClient {
            var options = EventStreamClient.Options()
            options.headers["Last-Event-ID"] = cursor
            return try await EventStreamClient.opened(port: node.port, Self.query, options: options)
        }

        private func numbers(_ data: [String], of topic: String) -> [Int] {
            data.filter { $0.hasPrefix("\(topic):") }.compactMap { Int($0.dropFirst(topic.count + 1)) }
        }

        @Test("Any node takes any node's cursor: each event of eight topics once, each topic in order, no gap")
        func otherNode() async throws {
            let cluster = try await RedisCluster()
            let (a, b) = (try await node(cluster), try await node(cluster))
            let partitions = Set(try Self.topics.map { Partitioning.cluster.partition(of: try .topic($0)) })
            try #require(partitions.count > 4)
            var data: [String] = []
            var cursor = ""
            for round in 0..<4 {
                let node = round.isMultiple(of: 2) ? a : b
                let client =
                    round == 0
                    ? try await EventStreamClient.opened(port: node.port, Self.query)
                    : try await resumed(node, after: cursor)
                // Some came while nobody was there.
                try await publish(a, round * 10)
                try await publish(b, round * 10 + 1)
                let expected = round == 0 ? 16 : 24
                #expect(await client.receives(expected), "round \(round): \(client.data)")
                data += client.data
                cursor = try #require(client.now.events.last { !$0.id.isEmpty }?.id)
                #expect(client.now.events.allSatisfy { $0.type != "gap" && $0.id.utf8.count <= 128 })
                client.close()
                try await publish(a, round * 10 + 2)
            }
            let sent = [0, 1, 2, 10, 11, 12, 20, 21, 22, 30, 31]
            for topic in Self.topics { #expect(numbers(data, of: topic) == sent) }
        }

        @Test(
            "A partition that is away keeps no stream from beginning, nor other partitions' events; it attaches when it is back"
        )
        func partitionAway() async throws {
            let cluster = try await RedisCluster()
            let node = try await node(cluster)
            let all = try await cluster.master(of: RedisNames.tag(Partitioning.cluster.partition(of: .all)))
            let owners = try await Self.owners(cluster)
            // Not that of what goes to everybody.
            let lost = try #require(Self.topics.first { owners[$0] != all.port })
            let master = try #require(cluster.servers.first { $0.port == owners[lost] })
            let others = Self.topics.filter { owners[$0] != owners[lost] }
            await master.kill()
            let client = try await EventStreamClient.opened(port: node.port, Self.query)
            #expect(
                await eventually {
                    try await publish(node, 1, to: [others[0]])
                    return client.data.contains("\(others[0]):1")
                })
            try await publish(node, 2, to: others)
            #expect(
                await client.waits { state in
                    others.allSatisfy { topic in state.messages.contains { $0.data == "\(topic):2" } }
                })
            _ = try await cluster.restart(master)
            #expect(
                await eventually(within: 30) {
                    let body = #"{"topic":"\#(lost)","data":"\#(lost):3"}"#
                    _ = try await TestSupport.publish(
                        node.port, body)
                    return client.data.contains("\(lost):3")
                }, "\(client.data) \(node.output.suffix(2000))")
            #expect(client.now.openings == 1)
        }

        @Test("Finite streams, conflation, tokens, receipts, orders: over several partitions as over one")
        func everythingElse() async throws {
            let cluster = try await RedisCluster()
            let (a, b) = (try await node(cluster), try await node(cluster))
            func send(_ body: String) async throws -> String { try await TestSupport.publish(a.port, body).text }
            let two = Array(Self.topics.prefix(2))
            let query = "/events?" + two.map { "topic=\($0)" }.joined(separator: "&")
            let partitions = try two.map { Partitioning.cluster.partition(of: try .topic($0)) }
            try #require(partitions[0] != partitions[1])
            let watching = try await EventStreamClient.opened(port: a.port, query)
            let beside = try await EventStreamClient.opened(port: b.port, query)
            let body = #"{"topics":["\#(two[0])","\#(two[1])"],"data":"x","once":"token","key":"k"}"#
            let first = try await send(body)
            #expect(first.matches(of: /"nodes":2/).count == 2, "\(first)")
            #expect(try await send(body) == first, "the same token publishes nothing")
            for topic in two { _ = try await send(#"{"topic":"\#(topic)","data":"y","key":"k"}"#) }
            _ = try await send(#"{"topic":"\#(two[0])","data":"z","end":true}"#)
            #expect(await watching.receives(5) && !watching.now.isOver, "one of its topics goes on")
            let conflated = EventStreamClient(
                port: b.port, query + "&last_event_id=available&conflate=1", options: EventStreamClient.Options())
            #expect(await conflated.receives(3) && conflated.data.sorted() == ["y", "y", "z"])
            _ = try await send(#"{"topic":"\#(two[1])","data":"z","end":true}"#)
            for client in [watching, beside] { #expect(await client.waits { $0.cleanEnds == 1 && $0.isOver }) }
            let cursor = try #require(beside.now.events.last { !$0.id.isEmpty }?.id)
            var options = EventStreamClient.Options()
            options.headers["Last-Event-ID"] = cursor
            let done = EventStreamClient(port: a.port, query, options: options)
            #expect(await done.waits { $0.isOver } && done.now.answer?.status == 204)
            let late = EventStreamClient(
                port: a.port, query + "&last_event_id=earliest", options: EventStreamClient.Options())
            #expect(await late.waits { $0.cleanEnds == 1 } && late.data.sorted() == ["x", "x", "y", "y", "z", "z"])

            let ann = try await EventStreamClient.opened(port: b.port, "/events?client=ann")
            let order = try await TestSupport.request(a.port, "DELETE", "/clients/ann")
            #expect(order.status == 200 && order.text.contains(#""nodes":2"#), "\(order.text)")
            #expect(await ann.waits { $0.cleanEnds == 1 })
        }

        private static func owners(_ cluster: RedisCluster) async throws -> [String: Int] {
            var owners: [String: Int] = [:]
            for topic in topics {
                let partition = Partitioning.cluster.partition(of: try .topic(topic))
                owners[topic] = try await cluster.master(of: RedisNames.tag(partition)).port
            }
            return owners
        }
    }
}
