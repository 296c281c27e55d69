// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOCore
import SluiceCore
import SluiceGateway
import SluiceRedis
import TestSupport
import Testing

@Suite("ClusterBroker")
struct ClusterBrokerTests {
    @Test(
        "Events of all partitions arrive, through the broker and from foreign clients, over two connections to each master and nothing over the bus",
        .timeLimit(.minutes(2)))
    func delivery() async throws {
        let cluster = try await RedisCluster(masters: 3)
        let probe = try await ClusterProbe(cluster.url)
        let topics = try RedisCluster.topics(perPartition: 20)
        #expect(try await probe.listen(to: topics + [.all]))
        #expect(await probe.isWhole())
        for topic in topics {
            let receipt = try await probe.publish("logged", to: topic)
            #expect(receipt.id != nil && receipt.nodes == 1)
            #expect(try await probe.publish("live", to: topic, isLogged: false) == Receipt(id: nil, nodes: 1))
            let channel = RedisCluster.names.channel(topic)
            try await cluster.master(of: channel).ask("SPUBLISH", channel, "plain")
        }
        #expect(await eventually { probe.events == topics.count * 3 })
        for topic in topics { #expect(probe.events(of: topic) == ["logged", "live", "plain"]) }

        try await probe.tick()
        #expect(await eventually { (0..<16).allSatisfy { probe.notices.contains(.clock($0)) } })
        for server in try await cluster.masters() {
            let clients = try await server.ask("CLIENT", "LIST").split(separator: "\n")
            #expect(clients.count { $0.contains("name=sluice-n ") } == 2)
            let info = try await server.ask("CLUSTER", "INFO")
            #expect(!info.contains("messages_publish"), "\(info)")
        }
        try await probe.stop()
    }

    @Test("A partition's clock, markers and logs are read where they are", .timeLimit(.minutes(2)))
    func reads() async throws {
        let cluster = try await RedisCluster(masters: 3)
        let probe = try await ClusterProbe(cluster.url)
        #expect(await probe.isWhole())
        try await probe.tick()
        let topics = try RedisCluster.topics(perPartition: 1)
        for topic in topics {
            let partition = Partitioning.cluster.partition(of: topic)
            let receipt = try await probe.publish("x", to: topic)
            let reading = try await probe.mark(partition, [topic])
            #expect(reading.clock == receipt.id && reading.markers.first??.id == receipt.id)
            guard
                case .page(let page)? = try await probe.read(
                    [LogRead(topic, after: .zero, bytes: 1000)], of: partition
                ).first
            else {
                Issue.record("no page")
                continue
            }
            #expect(page.entries.map(\.id) == [receipt.id])
        }
        try await probe.stop()
    }

    @Test("An order reaches every node, and each hears it once", .timeLimit(.minutes(2)))
    func orders() async throws {
        let cluster = try await RedisCluster(masters: 2)
        let probes = [
            try await ClusterProbe(cluster.url, nodeID: "a"), try await ClusterProbe(cluster.url, nodeID: "b"),
        ]
        for probe in probes { #expect(await probe.isWhole()) }
        let order = ControlMessage.disconnect(Disconnect(client: "ann", exile: nil))
        #expect(try await probes[0].order(order) == 2)
        for probe in probes {
            #expect(await eventually { probe.notices.count { if case .order = $0 { true } else { false } } == 1 })
            try await probe.stop()
        }
    }

    @Test("A node's user of deploy/users-cluster.acl has every right that a node needs", .timeLimit(.minutes(2)))
    func rights() async throws {
        let cluster = try await RedisCluster(masters: 2)
        let lines = try String(contentsOfFile: "\(Repository.root)/deploy/users-cluster.acl", encoding: .utf8)
        let line = try #require(lines.split(separator: "\n").first { $0.hasPrefix("user sluice-node ") })
        let words = line.replacing("NODE-PASSWORD", with: "secret").split(separator: " ").dropFirst().map(String.init)
        for server in cluster.servers { try await server.ask(["ACL", "SETUSER"] + words) }
        let url = cluster.url.replacing("redis+cluster://", with: "redis+cluster://sluice-node:secret@")
        let probe = try await ClusterProbe(url)
        let topics = try RedisCluster.topics(perPartition: 2)
        #expect(try await probe.listen(to: topics))
        #expect(await probe.isWhole())
        try await probe.tick()
        for topic in topics {
            _ = try await probe.publish("logged", to: topic)
            _ = try await probe.publish("live", to: topic, isLogged: false)
            _ = try await probe.mark(Partitioning.cluster.partition(of: topic), [topic])
        }
        _ = try await probe.order(ControlMessage.disconnect(Disconnect(client: "ann", exile: nil)))
        #expect(await eventually { probe.events == topics.count * 2 })
        #expect(!probe.notices.contains { if case .refused = $0 { true } else { false } })
        for server in cluster.servers { #expect(try await server.ask("ACL", "LOG") == "") }
        try await probe.stop()
    }
}
