// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization

/// A real Redis Cluster of the test's own: masters that share all slots evenly, and replicas of them.
///
/// A partition of it that is down leaves the others up, as deployments should have it. What the tests do to it (fail over, kill,
/// move slots, add masters) returns when every server that runs agrees.
package final class RedisCluster: Sendable {
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    private let directory: String
    private let arguments: [String]
    /// nil: it speaks no TLS.
    private let certificate: TestCertificate?
    private let all = Mutex<[RedisServer]>([])
    /// By the ports without TLS.
    private let securePorts = Mutex<[Int: Int]>([:])

    /// - Parameters:
    ///   - replicas: of each master.
    ///   - nodeTimeout: milliseconds of silence after which a server is taken for dead. A replica takes over 1 to 2 s later.
    ///   - arguments: of each server, beside those of a cluster.
    ///   - certificate: of `localhost`, which its servers call themselves. Its tests speak without TLS.
    package init(
        masters: Int = 3, replicas: Int = 0, nodeTimeout: Int = 1500, arguments: [String] = [],
        certificate: TestCertificate? = nil
    ) async throws {
        directory = try Repository.temporaryDirectory()
        self.certificate = certificate
        self.arguments =
            [
                "--cluster-enabled", "yes", "--cluster-node-timeout", "\(nodeTimeout)",
                "--cluster-require-full-coverage", "no", "--cluster-replica-validity-factor", "0",
                // Replicas stay with their masters, whatever happens to others.
                "--cluster-allow-replica-migration", "no", "--repl-diskless-sync-delay", "0",
            ] + arguments
        let servers = try await withThrowingTaskGroup { group in
            for _ in 0..<masters * (1 + replicas) { group.addTask { try await self.startServer() } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        all.withLock { $0 = servers }
        let owners = servers.prefix(masters)
        for (number, server) in owners.enumerated() {
            try await server.ask("CLUSTER", "SET-CONFIG-EPOCH", "\(number + 1)")
            let slots = (RedisCluster.slotCount * number / masters, RedisCluster.slotCount * (number + 1) / masters - 1)
            try await server.ask("CLUSTER", "ADDSLOTSRANGE", "\(slots.0)", "\(slots.1)")
        }
        for server in servers { try await introduce(server) }
        try await agree { $0.count == servers.count }
        for (number, server) in servers.dropFirst(masters).enumerated() {
            try await replicate(owners[number % masters], by: server)
        }
        try await settle()
    }

    deinit {
        // They end with their owner, and then write nothing any more.
        all.withLock { $0 = [] }
        try? FileManager.default.removeItem(atPath: directory)
    }

    package static let slotCount = 16_384
    private static let startsMax = 3

    /// Every server that was started and not replaced since, those that were killed among them.
    package var servers: [RedisServer] { all.withLock { $0 } }

    package var running: [RedisServer] { servers.filter(\.isRunning) }

    package var url: String {
        guard certificate != nil else {
            return "redis+cluster://" + servers.map { "127.0.0.1:\($0.port)" }.joined(separator: ",")
        }
        return "rediss+cluster://" + servers.map { "localhost:\(securePort(of: $0) ?? 0)" }.joined(separator: ",")
    }

    package func securePort(of server: RedisServer) -> Int? { securePorts.withLock { $0[server.port] } }

    // MARK: - Who is who

    /// The cluster as one that runs sees it.
    package func nodes() async throws -> [RedisClusterNode] {
        guard let server = running.first else { throw Failure(description: "no server runs") }
        return try await server.clusterNodes()
    }

    package func slot(of key: String) async throws -> Int {
        guard let server = running.first, let slot = Int(try await server.ask("CLUSTER", "KEYSLOT", key)) else {
            throw Failure(description: "no slot of \(key)")
        }
        return slot
    }

    package func master(ofSlot slot: Int) async throws -> RedisServer {
        try server(try await nodes().first { $0.isMaster && $0.owns(slot) })
    }

    package func master(of key: String) async throws -> RedisServer {
        try await master(ofSlot: slot(of: key))
    }

    /// Masters that run and have slots, in the order of their slots.
    package func masters() async throws -> [RedisServer] {
        try await nodes().filter { $0.isMaster && !$0.isDown && !$0.slots.isEmpty }
            .sorted { $0.slots[0].lowerBound < $1.slots[0].lowerBound }.map { try server($0) }
    }

    /// The replicas of a master that run.
    package func replicas(of master: RedisServer) async throws -> [RedisServer] {
        let nodes = try await nodes()
        let id = nodes.first { $0.port == master.port }?.id
        return try nodes.filter { $0.masterID == id && !$0.isDown }.map { try server($0) }
    }

    private func server(_ node: RedisClusterNode?) throws -> RedisServer {
        guard let node, let server = servers.first(where: { $0.port == node.port }) else {
            throw Failure(description: "no such server")
        }
        return server
    }

    // MARK: - What may happen to it

    /// Makes a replica the master. By default with the old master's help, and so without a loss.
    ///
    /// - Parameter way: nil, or as of `CLUSTER FAILOVER`: `FORCE` without the old master, `TAKEOVER` without the others as well.
    package func failOver(to replica: RedisServer, way: String? = nil) async throws {
        let words = ["CLUSTER", "FAILOVER"] + (way.map { [$0] } ?? [])
        try await replica.ask(words)
        try await agree { $0.contains { $0.port == replica.port && $0.isMaster && !$0.slots.isEmpty } }
    }

    /// Kills a master, and returns the replica that has taken its place when all others know it.
    package func kill(_ master: RedisServer) async throws -> RedisServer {
        let slot = try await nodes().first { $0.port == master.port }?.slots.first?.lowerBound
        guard let slot else { throw Failure(description: "\(master.port) has no slots") }
        await master.kill()
        try await agree { $0.contains { $0.isMaster && !$0.isDown && $0.owns(slot) && $0.port != master.port } }
        return try await self.master(ofSlot: slot)
    }

    /// Starts a server that was killed, at its old place in the cluster and without data: what it was the master of and
    /// nobody has taken over meanwhile is lost.
    @discardableResult
    package func restart(_ server: RedisServer) async throws -> RedisServer {
        let successor = try await startServer(port: server.port)
        all.withLock { servers in
            servers.removeAll { $0.port == server.port }
            servers.append(successor)
        }
        try await settle()
        return successor
    }

    /// A further master, without slots as yet: see ``move(slots:to:)``.
    package func addMaster() async throws -> RedisServer {
        let server = try await startServer()
        all.withLock { $0.append(server) }
        try await introduce(server)
        try await agree { $0.contains { $0.port == server.port } }
        try await settle()
        return server
    }

    @discardableResult
    package func addReplica(of master: RedisServer) async throws -> RedisServer {
        let server = try await addMaster()
        try await replicate(master, by: server)
        try await settle()
        return server
    }

    /// Moves a slot with all its keys, as `redis-cli --cluster reshard` does. For a look at the middle of it: ``SlotMove``.
    package func move(slot: Int, to target: RedisServer) async throws {
        let move = SlotMove(slot: slot, from: try await master(ofSlot: slot), to: target)
        try await move.begin()
        try await move.moveKeys()
        try await move.finish()
        try await agree { $0.contains { $0.port == target.port && $0.owns(slot) } }
    }

    /// Waits until every server that runs takes commands, each replica follows its master, and no slot is without a master.
    package func settle() async throws {
        try await agree { nodes in
            let owned = nodes.filter { $0.isMaster && !$0.isDown }.flatMap(\.slots).reduce(0) { $0 + $1.count }
            return owned == RedisCluster.slotCount
        }
        for server in running {
            let isUp = await eventually(within: 30) {
                let replication = try await server.ask("INFO", "replication")
                return try await server.ask("CLUSTER", "INFO").contains("cluster_state:ok")
                    && (!replication.contains("role:slave") || replication.contains("master_link_status:up"))
            }
            if !isUp { throw Failure(description: "\(server.port) does not follow the others") }
        }
    }

    /// Waits until every server that runs sees the cluster so.
    package func agree(_ isSo: ([RedisClusterNode]) -> Bool) async throws {
        for server in running {
            let isAgreed = await eventually(within: 30) {
                let nodes = try await server.clusterNodes()
                return nodes.allSatisfy { !$0.isStrange } && isSo(nodes)
            }
            if !isAgreed {
                throw Failure(description: "\(server.port) sees \(try await server.ask("CLUSTER", "NODES"))")
            }
        }
    }

    // MARK: -

    /// - Parameter port: nil: any.
    private func startServer(port: Int? = nil) async throws -> RedisServer {
        // A port that was free may be somebody else's by the time that a server wants it.
        for _ in 1..<RedisCluster.startsMax {
            do { return try await startServer(at: port ?? freePort()) } catch is ChildProcess.Failure {}
        }
        return try await startServer(at: port ?? freePort())
    }

    private func startServer(at port: Int) async throws -> RedisServer {
        let own = "\(directory)/\(port)"
        try FileManager.default.createDirectory(atPath: own, withIntermediateDirectories: true)
        var secure: [String] = []
        if let certificate {
            let securePort = securePorts.withLock { ports in
                ports[port] = ports[port] ?? freePort()
                return ports[port] ?? 0
            }
            secure = [
                "--tls-port", "\(securePort)", "--tls-cert-file", certificate.certificateFile, "--tls-key-file",
                certificate.keyFile, "--tls-ca-cert-file", certificate.certificateFile, "--tls-auth-clients", "no",
                "--tls-cluster", "yes", "--tls-replication", "yes", "--cluster-announce-hostname", "localhost",
                "--cluster-preferred-endpoint-type", "hostname",
            ]
        }
        // By default the servers speak to each other at the port + 10,000, which may be above all ports.
        return try await RedisServer(
            port: port,
            arguments: arguments + secure + [
                "--dir", own, "--cluster-config-file", "nodes.conf", "--cluster-port", "\(freePort())",
            ])
    }

    /// Introduces a server to every other one: faster than to wait for the gossip.
    private func introduce(_ server: RedisServer) async throws {
        for other in running where other !== server {
            guard let node = try await other.clusterNodes().first(where: \.isMyself) else { continue }
            try await server.ask("CLUSTER", "MEET", "127.0.0.1", "\(node.port)", "\(node.busPort)")
        }
    }

    private func replicate(_ master: RedisServer, by server: RedisServer) async throws {
        guard let id = try await master.clusterNodes().first(where: \.isMyself)?.id else { return }
        try await server.ask("CLUSTER", "REPLICATE", id)
        try await agree { $0.contains { $0.port == server.port && $0.masterID == id } }
    }
}
