// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A master, two replicas and three Sentinels that replace it after a second: the real programs.
package final class SentinelDeployment: Sendable {
    package static let master = "sluice"

    package let servers: [RedisServer]
    package let sentinels: [Sentinel]
    private let directory: String

    package struct Sentinel: Sendable {
        package let port: Int
        fileprivate let process: ChildProcess
        fileprivate let password: String?

        package func signal(_ signal: Int32) { process.signal(signal) }

        package func kill() async {
            process.signal(SIGKILL)
            _ = await process.exitCode()
        }

        @discardableResult
        package func cli(_ arguments: String...) async throws -> String {
            let login = password.map { ["--no-auth-warning", "-a", $0] } ?? []
            let cli = try ChildProcess("redis-cli", ["-p", "\(port)"] + login + arguments)
            _ = await cli.exitCode()
            return cli.output.trimmingCharacters(in: .newlines)
        }

        /// The port of whom it calls master; 0 if it knows none.
        package func masterPort() async throws -> Int {
            let lines = try await cli("SENTINEL", "GET-MASTER-ADDR-BY-NAME", master).split(separator: "\n")
            return lines.last.flatMap { Int($0) } ?? 0
        }
    }

    /// - Parameter password: what the Sentinels ask of their clients, and of each other.
    package init(password: String? = nil) async throws {
        directory = NSTemporaryDirectory() + "sluice-sentinels-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let arguments = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"]
        let first = try await RedisServer(arguments: arguments)
        var servers = [first]
        for _ in 0..<2 {
            servers.append(
                try await RedisServer(arguments: arguments + ["--replicaof", "127.0.0.1 \(first.port)"]))
        }
        self.servers = servers
        // A Sentinel asks for replicas seldom: they have to be there when it asks first.
        let isReplicated = await eventually {
            try await first.cli("INFO", "replication").components(separatedBy: "state=online").count == 3
        }
        var sentinels: [Sentinel] = []
        for number in 0..<3 {
            let port = freePort()
            let file = directory + "/sentinel\(number).conf"
            let lines = [
                "port \(port)", "bind 127.0.0.1", "dir \(directory)",
                "sentinel monitor \(SentinelDeployment.master) 127.0.0.1 \(first.port) 2",
                "sentinel down-after-milliseconds \(SentinelDeployment.master) 1000",
                "sentinel failover-timeout \(SentinelDeployment.master) 6000",
                "sentinel parallel-syncs \(SentinelDeployment.master) 2",
            ]
            let login = password.map { ["requirepass \($0)"] } ?? []
            try (lines + login).joined(separator: "\n").write(toFile: file, atomically: true, encoding: .utf8)
            sentinels.append(
                Sentinel(port: port, process: try ChildProcess("redis-sentinel", [file]), password: password))
        }
        self.sentinels = sentinels
        guard isReplicated, await eventually(within: 30, { try await self.isComplete() }) else {
            throw ChildProcess.Failure(description: "the Sentinels don't find each other, or the replicas")
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    /// Each Sentinel knows the others and both replicas.
    private func isComplete() async throws -> Bool {
        for sentinel in sentinels {
            let words = try await sentinel.cli("SENTINEL", "MASTER", SentinelDeployment.master).split(separator: "\n")
            for (name, value) in [("num-slaves", "2"), ("num-other-sentinels", "2"), ("flags", "master")] {
                guard let index = words.firstIndex(where: { $0 == name }), words[index + 1] == value else {
                    return false
                }
            }
        }
        return true
    }

    /// What a node is given.
    package var url: String { url(master: SentinelDeployment.master) }

    package func url(master: String) -> String {
        "redis+sentinel://" + sentinels.map { "127.0.0.1:\($0.port)" }.joined(separator: ",") + "/\(master)"
    }

    /// Whom a Sentinel calls master.
    package func current(by sentinel: Int = 0) async throws -> RedisServer? {
        let port = try await sentinels[sentinel].masterPort()
        return servers.first { $0.port == port }
    }

    /// Asks for a failover, and waits until the Sentinels name another master than before.
    ///
    /// - Returns: the new master.
    package func failOver() async throws -> RedisServer {
        let before = try await current()
        guard
            await eventually(
                within: 30,
                { try await self.sentinels[0].cli("SENTINEL", "FAILOVER", SentinelDeployment.master) == "OK" })
        else { throw ChildProcess.Failure(description: "the Sentinels refuse to fail over") }
        return try await successor(of: before)
    }

    /// Waits until all that live name one other master than this one.
    package func successor(of server: RedisServer?) async throws -> RedisServer {
        var found: RedisServer?
        _ = await eventually(within: 60) {
            var ports: Set<Int> = []
            for sentinel in self.sentinels where sentinel.process.isRunning {
                ports.insert(try await sentinel.masterPort())
            }
            found = self.servers.first { [$0.port] == ports }
            return found != nil && found?.port != server?.port
        }
        guard let found, found.port != server?.port else {
            throw ChildProcess.Failure(description: "no other master was named")
        }
        return found
    }
}
