// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOCore
import SluiceCore
import SluiceGateway
import SluiceRedis
import TestSupport
import Testing

@Suite("ClusterBroker while the cluster changes")
struct ClusterFaultTests {
    private static let topics = Result { try RedisCluster.topics(perPartition: 4) }

    /// A broker that listens to topics of all partitions, each of which is up.
    private static func start(
        _ cluster: RedisCluster, nodeID: String = "n", authority: String? = nil
    ) async throws -> ClusterProbe {
        let probe = try await ClusterProbe(cluster.url, nodeID: nodeID, authority: authority)
        #expect(try await probe.listen(to: try topics.get()))
        #expect(await probe.isWhole())
        try await probe.tick()
        probe.forget()
        return probe
    }

    /// The partitions that went down, each as often as it did.
    private static func downs(_ probe: ClusterProbe) -> [Int] {
        probe.notices.compactMap { if case .down(let partition) = $0 { partition } else { nil } }
    }

    private static func partitions(of server: RedisServer) async throws -> Set<Int> {
        let node = try await server.clusterNodes().first(where: \.isMyself)
        return Set(
            Partitioning.cluster.partitions.filter { node?.owns(RedisNames.slot($0)) == true }.map(\.index))
    }

    /// What was down is up again.
    private static func isBack(_ probe: ClusterProbe, _ partitions: Set<Int>) async -> Bool {
        await eventually(within: 30) {
            let notices = probe.notices
            return partitions.allSatisfy { partition in
                guard let up = notices.lastIndex(of: .up(partition)) else { return false }
                return up > notices.lastIndex(of: .down(partition)) ?? -1
            }
        }
    }

    /// Publishes to every topic, logged and plain, and sees each arrive once.
    private static func everythingArrives(_ probe: ClusterProbe, _ text: String) async throws {
        for topic in try topics.get() {
            let receipt = try await probe.publish("\(text) logged", to: topic)
            #expect(receipt.nodes == 1, "\(topic)")
            _ = try await probe.publish("\(text) plain", to: topic, isLogged: false)
        }
        let topics = try topics.get()
        #expect(
            await eventually {
                topics.allSatisfy { probe.events(of: $0).contains("\(text) plain") }
            })
        for topic in topics {
            let heard = probe.events(of: topic).filter { $0.hasPrefix(text) }
            #expect(heard == ["\(text) logged", "\(text) plain"], "\(topic)")
        }
    }

    @Test(
        "A slot that moves takes its partition down and up again, and no other; no event that was published meanwhile is refused",
        .timeLimit(.minutes(3)))
    func migration() async throws {
        let cluster = try await RedisCluster(masters: 3)
        let probe = try await ClusterFaultTests.start(cluster)
        let topics = try ClusterFaultTests.topics.get()
        let partition = Partition(5)
        let slot = RedisNames.slot(partition)
        let source = try await cluster.master(ofSlot: slot)
        let target = try #require(try await cluster.masters().first { $0 !== source })
        for topic in topics { _ = try await probe.publish("before", to: topic) }
        let publishing = Task {
            var receipts: [Target: [EventID]] = [:]
            while !Task.isCancelled {
                for topic in topics {
                    let receipt = try await probe.publish("load", to: topic)
                    if let id = receipt.id { receipts[topic, default: []].append(id) }
                }
            }
            return receipts
        }
        try await cluster.move(slot: slot, to: target)
        #expect(await ClusterFaultTests.isBack(probe, [5]))
        publishing.cancel()
        let receipts = try await publishing.value
        for ids in receipts.values { #expect(ids == ids.sorted() && Set(ids).count == ids.count) }
        #expect(Set(ClusterFaultTests.downs(probe)) == [5])
        try await ClusterFaultTests.everythingArrives(probe, "after")
        // The tick goes to the new master, too.
        probe.forget()
        try await probe.tick()
        #expect(await eventually { (0..<16).allSatisfy { probe.notices.contains(.clock($0)) } })
        try await probe.stop()
    }

    @Test(
        "While a slot is on its way events follow their log, wait where their keys are divided, and come to nobody twice",
        .timeLimit(.minutes(3)))
    func halfMoved() async throws {
        let cluster = try await RedisCluster(masters: 2)
        let probe = try await ClusterFaultTests.start(cluster)
        let topic = try #require(try ClusterFaultTests.topics.get().first)
        let partition = Partitioning.cluster.partition(of: topic)
        let names = RedisCluster.names
        _ = try await probe.publish("before", to: topic)
        let slot = RedisNames.slot(partition)
        let source = try await cluster.master(ofSlot: slot)
        let target = try #require(try await cluster.masters().first { $0 !== source })
        let move = SlotMove(slot: slot, from: source, to: target)
        try await move.begin()
        #expect(try await probe.publish("here", to: topic).nodes == 1)
        try await move.moveKeys([names.clock(partition)])
        // The node is still ready to hear the partition, though its tick can't be carried out.
        probe.forget()
        try await probe.tick()
        #expect(await eventually { probe.notices.contains(.alive(partition.index)) })
        let waiting = Task { try await probe.publish("divided", to: topic) }
        try await move.moveKeys()
        #expect(try await waiting.value.id != nil)
        #expect(try await probe.publish("there", to: topic).id != nil)
        #expect(try await probe.mark(partition, [topic]).markers.first??.id != nil)
        try await move.finish()
        #expect(await ClusterFaultTests.isBack(probe, [partition.index]))
        guard
            case .page(let page)? = try await probe.read(
                [LogRead(topic, after: .zero, bytes: 1000)], of: partition
            ).first
        else {
            Issue.record("no page")
            return
        }
        #expect(page.entries.map { String(buffer: $0.event.data) } == ["before", "here", "divided", "there"])
        try await ClusterFaultTests.everythingArrives(probe, "after")
        try await probe.stop()
    }

    @Test(
        "A cluster that asks for TLS and gives host names is spoken to so, by the names on its certificate, also after a failover",
        .timeLimit(.minutes(3)))
    func secure() async throws {
        let certificate = try await TestCertificate(names: "DNS:localhost")
        let cluster = try await RedisCluster(replicas: 1, certificate: certificate)
        let probe = try await ClusterFaultTests.start(cluster, authority: certificate.certificateFile)
        try await ClusterFaultTests.everythingArrives(probe, "before")
        let master = try await cluster.masters()[0]
        let partitions = try await ClusterFaultTests.partitions(of: master)
        let heir = try await cluster.kill(master)
        #expect(await ClusterFaultTests.isBack(probe, partitions))
        try await ClusterFaultTests.everythingArrives(probe, "after")
        for server in [heir, try await cluster.masters()[1]] {
            let all = try await server.ask("CLIENT", "LIST").split(separator: "\n")
            let own = all.filter { $0.contains("name=sluice-n") }
            let port = try #require(cluster.securePort(of: server))
            #expect(own.count == 2 && own.allSatisfy { $0.contains("laddr=127.0.0.1:\(port) ") })
        }
        try await probe.stop()
    }

    @Test(
        "A failover that was asked for takes down that master's partitions only, and no event that is published meanwhile fails",
        .timeLimit(.minutes(3)))
    func failover() async throws {
        let cluster = try await RedisCluster(masters: 3, replicas: 1)
        let probe = try await ClusterFaultTests.start(cluster)
        let master = try await cluster.masters()[0]
        let partitions = try await ClusterFaultTests.partitions(of: master)
        #expect(!partitions.isEmpty)
        let replica = try #require(try await cluster.replicas(of: master).first)
        let publishing = try ClusterFaultTests.topics.get().map { topic in
            Task {
                while !Task.isCancelled { _ = try await probe.publish("load", to: topic) }
            }
        }
        try await cluster.failOver(to: replica)
        #expect(await ClusterFaultTests.isBack(probe, partitions))
        for task in publishing {
            task.cancel()
            try await task.value
        }
        #expect(Set(ClusterFaultTests.downs(probe)) == partitions)
        try await ClusterFaultTests.everythingArrives(probe, "after")
        let clients = try await replica.ask("CLIENT", "LIST").split(separator: "\n")
        #expect(clients.count { $0.contains("name=sluice-n ") } == 2)
        #expect(await eventually { try await !master.ask("CLIENT", "LIST").contains("name=sluice-n ") })
        try await probe.stop()
    }

    @Test(
        "A master that dies costs a node a handful of looks and connections, and its replica brings everything again",
        .timeLimit(.minutes(3)))
    func death() async throws {
        let cluster = try await RedisCluster(masters: 3, replicas: 1)
        let probe = try await ClusterFaultTests.start(cluster)
        let masters = try await cluster.masters()
        let partitions = try await ClusterFaultTests.partitions(of: masters[1])
        for server in cluster.running { try await server.ask("CONFIG", "RESETSTAT") }
        let successor = try await cluster.kill(masters[1])
        #expect(await ClusterFaultTests.isBack(probe, partitions))
        #expect(Set(ClusterFaultTests.downs(probe)) == partitions)
        try await ClusterFaultTests.everythingArrives(probe, "after")
        var looks = 0
        for server in cluster.running {
            let stats = try await server.ask("INFO", "commandstats")
            looks +=
                Int(
                    stats.split(separator: "cmdstat_cluster|slots:calls=").dropFirst().first?.prefix { $0.isNumber }
                        ?? "0") ?? 0
        }
        // The replica has taken over after some 3 s, in which a node looks about twice a second.
        #expect(looks < 40, "\(looks)")
        let subscribes = try await successor.ask("INFO", "commandstats").split(separator: "cmdstat_ssubscribe:calls=")
        #expect(Int(subscribes.dropFirst().first?.prefix { $0.isNumber } ?? "0") == partitions.count)
        try await probe.stop()
    }

    @Test(
        "A master that froze and lives on after its replica has taken over is left, and brings nothing twice",
        .timeLimit(.minutes(3)))
    func zombie() async throws {
        let cluster = try await RedisCluster(masters: 3, replicas: 1)
        let probe = try await ClusterFaultTests.start(cluster)
        let master = try await cluster.masters()[2]
        let partitions = try await ClusterFaultTests.partitions(of: master)
        master.signal(SIGSTOP)
        #expect(await ClusterFaultTests.isBack(probe, partitions))
        try await ClusterFaultTests.everythingArrives(probe, "while frozen")
        master.signal(SIGCONT)
        try await cluster.settle()
        #expect(await eventually { try await !master.ask("CLIENT", "LIST").contains("name=sluice-n ") })
        #expect(await eventually { probe.up.isSuperset(of: partitions) })
        try await ClusterFaultTests.everythingArrives(probe, "after")
        #expect(Set(ClusterFaultTests.downs(probe)) == partitions)
        try await probe.stop()
    }

    @Test("A master that joins gets the function and the partitions that are moved to it", .timeLimit(.minutes(3)))
    func join() async throws {
        let cluster = try await RedisCluster(masters: 2)
        let probe = try await ClusterFaultTests.start(cluster)
        let added = try await cluster.addMaster()
        for partition in [3, 8, 9] {
            try await cluster.move(slot: RedisNames.slot(Partition(partition)), to: added)
        }
        #expect(await ClusterFaultTests.isBack(probe, [3, 8, 9]))
        #expect(Set(ClusterFaultTests.downs(probe)) == [3, 8, 9])
        try await ClusterFaultTests.everythingArrives(probe, "after")
        #expect(try await added.ask("FUNCTION", "LIST").contains("sluice"))
        try await probe.stop()
    }

    @Test(
        "A slot that has gone and come back before anybody looked is subscribed anew: its server has forgotten the channels",
        .timeLimit(.minutes(2)))
    func thereAndBack() async throws {
        let cluster = try await RedisCluster(masters: 2)
        let probe = try await ClusterFaultTests.start(cluster)
        let masters = try await cluster.masters()
        let slot = RedisNames.slot(Partition(7))
        let source = try await cluster.master(ofSlot: slot)
        let target = try #require(masters.first { $0 !== source })
        let topic = try #require(
            try ClusterFaultTests.topics.get().first { Partitioning.cluster.partition(of: $0).index == 7 })
        for (from, to) in [(source, target), (target, source)] {
            let move = SlotMove(slot: slot, from: from, to: to)
            try await move.begin()
            try await move.moveKeys()
            try await move.finish()
        }
        #expect(await eventually { try await probe.publish("heard?", to: topic, isLogged: false).nodes == 1 })
        #expect(await ClusterFaultTests.isBack(probe, [7]))
        try await ClusterFaultTests.everythingArrives(probe, "after")
        try await probe.stop()
    }

    @Test(
        "A feed that is told to reconnect takes down its master's partitions and brings them up again",
        .timeLimit(.minutes(2)))
    func reconnect() async throws {
        let cluster = try await RedisCluster(masters: 2)
        let probe = try await ClusterFaultTests.start(cluster)
        let master = try await cluster.master(ofSlot: RedisNames.slot(Partition(0)))
        let partitions = try await ClusterFaultTests.partitions(of: master)
        try await probe.reconnect(Partition(0))
        #expect(await ClusterFaultTests.isBack(probe, partitions))
        #expect(Set(ClusterFaultTests.downs(probe)) == partitions)
        try await ClusterFaultTests.everythingArrives(probe, "after")
        try await probe.stop()
    }

    @Test("A hundred thousand channels are subscribed again in as few commands as they fit in", .timeLimit(.minutes(3)))
    func manyChannels() async throws {
        let cluster = try await RedisCluster(masters: 3)
        let probe = try await ClusterProbe(cluster.url)
        #expect(await probe.isWhole())
        let targets = try (0..<100_000).map { try Target.topic("many\($0)") }
        #expect(try await probe.listen(to: targets))
        probe.forget()
        let masters = try await cluster.masters()
        for master in masters {
            try await master.ask("CONFIG", "RESETSTAT")
            try await master.ask("CLIENT", "KILL", "TYPE", "PUBSUB")
        }
        #expect(await ClusterFaultTests.isBack(probe, Set(0..<16)))
        var commands = 0
        for master in masters {
            let stats = try await master.ask("INFO", "commandstats").split(separator: "cmdstat_ssubscribe:calls=")
            commands += Int(stats.dropFirst().first?.prefix { $0.isNumber } ?? "0") ?? 0
        }
        #expect(commands > 0 && commands <= 16 + 100_000 / 512, "\(commands)")
        #expect(Set(ClusterFaultTests.downs(probe)).count == 16)
        try await probe.stop()
    }

    @Test(
        "Where a cluster stops as a whole for one dead master, the others' partitions stay up, and new channels come once it goes on",
        .timeLimit(.minutes(2)))
    func fullCoverage() async throws {
        let cluster = try await RedisCluster(
            masters: 3,
            arguments: ["--cluster-require-full-coverage", "yes", "--cluster-allow-pubsubshard-when-down", "no"])
        let probe = try await ClusterFaultTests.start(cluster)
        let masters = try await cluster.masters()
        let partitions = try await ClusterFaultTests.partitions(of: masters[0])
        await masters[0].kill()
        for other in masters.dropFirst() {
            #expect(await eventually { try await other.ask("CLUSTER", "INFO").contains("cluster_state:fail") })
        }
        let fresh = try (0..<50).map { try Target.topic("fresh\($0)") }
        try await probe.want(fresh)
        for other in masters.dropFirst() {
            #expect(
                await eventually {
                    try await other.ask("INFO", "errorstats").contains("errorstat_CLUSTERDOWN")
                })
        }
        try await cluster.restart(masters[0])
        #expect(try await probe.listen(to: fresh))
        #expect(await ClusterFaultTests.isBack(probe, partitions))
        #expect(Set(ClusterFaultTests.downs(probe)) == partitions)
        try await ClusterFaultTests.everythingArrives(probe, "after")
        try await probe.stop()
    }

    @Test("A lone server is no cluster: nothing becomes ready, and the log says why", .timeLimit(.minutes(1)))
    func loneServer() async throws {
        let server = try await RedisServer()
        let log = LogLines()
        let probe = try await ClusterProbe("redis+cluster://127.0.0.1:\(server.port)", logger: log.logger)
        #expect(await eventually { log.lines.contains { $0.contains("no server of a cluster") } })
        #expect(try await probe.refusal(of: 1) != nil && probe.up.isEmpty)
        await #expect(throws: PublishFailure.self) { try await probe.publish("x", to: .all) }
        #expect(log.lines.count == 1, "once a minute: \(log.lines)")
        try await probe.stop()
    }
}
