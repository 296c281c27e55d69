// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension ClusterTests {
    /// The settings of Redis in deploy/, as they are there but for what names places of a system.
    @Suite("has a deployed Redis")
    struct DeployedRedisTests {
        private static let password = "s3cr3t"
        private static let admin = ["--no-auth-warning", "--user", "admin", "--pass", password]
        private let directory: String

        init() throws {
            directory = try Repository.temporaryDirectory()
        }

        private func settings(_ file: String) throws -> String {
            try String(contentsOfFile: "\(Repository.root)/deploy/\(file)", encoding: .utf8)
                .replacing(/[A-Z]+-PASSWORD/, with: DeployedRedisTests.password)
        }

        /// Starts it with a file and a folder of its own.
        private func start(
            _ program: String, _ port: Int, _ text: String, _ arguments: [String] = []
        ) throws -> ChildProcess {
            let folder = "\(directory)/\(port)"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
            let lines = text.split(separator: "\n").filter { !$0.hasPrefix("dir ") && !$0.hasPrefix("aclfile ") }
            try lines.joined(separator: "\n").write(
                toFile: "\(folder)/own.conf", atomically: true, encoding: .utf8)
            return try ChildProcess(
                program,
                ["\(folder)/own.conf", "--bind", "127.0.0.1", "--port", "\(port)", "--dir", folder] + arguments)
        }

        private func cli(_ port: Int, _ arguments: [String]) async throws -> String {
            let cli = try ChildProcess("redis-cli", ["-p", "\(port)"] + arguments)
            _ = await cli.exitCode()
            return cli.output
        }

        @Test(
            "With the users and settings for it, replicas follow their master and Sentinels replace it",
            .timeLimit(.minutes(2)))
        func sentinel() async throws {
            defer { try? FileManager.default.removeItem(atPath: directory) }
            let users = "\(directory)/users.acl"
            try
                (settings("users.acl") + settings("users-replication.acl")
                + "user admin on >\(DeployedRedisTests.password) ~* &* +@all\n").write(
                    toFile: users, atomically: true, encoding: .utf8)
            let redis = try settings("redis.conf").replacing("# masteruser ", with: "masteruser ")
                .replacing("# masterauth ", with: "masterauth ")
            let ports = (0..<6).map { _ in freePort() }
            let servers = try ports.prefix(3).enumerated().map { index, port in
                try start(
                    "redis-server", port, redis,
                    ["--aclfile", users] + (index == 0 ? [] : ["--replicaof", "127.0.0.1 \(ports[0])"]))
            }
            let sentinel = try settings("sentinel.conf").replacing("# sentinel auth-", with: "sentinel auth-")
                .replacing("127.0.0.1 6379 2", with: "127.0.0.1 \(ports[0]) 2")
            let sentinels = try ports.suffix(3).map { try start("redis-sentinel", $0, sentinel) }
            for port in ports.suffix(3) {
                let knowsAll = await eventually(within: 60) {
                    try await cli(port, ["INFO", "sentinel"]).contains("slaves=2,sentinels=3")
                }
                #expect(knowsAll, "\(sentinels.map(\.output))")
            }
            servers[0].signal(SIGKILL)
            let isReplaced = await eventually(within: 60) {
                let answer = try await cli(ports[3], ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"])
                guard let port = Int(answer.split(separator: "\n").last ?? ""), port != ports[0] else { return false }
                return try await cli(port, DeployedRedisTests.admin + ["INFO", "replication"])
                    .contains("state=online")
            }
            #expect(isReplaced, "\(servers.map(\.output)) \(sentinels.map(\.output))")
            for port in ports[1...2] {
                #expect(try await cli(port, DeployedRedisTests.admin + ["ACL", "LOG"]) == "\n")
            }
        }

        @Test("With the settings for it, servers become a cluster with three masters", .timeLimit(.minutes(2)))
        func cluster() async throws {
            defer { try? FileManager.default.removeItem(atPath: directory) }
            let text = try settings("redis.conf") + settings("redis-cluster.conf")
            let ports = (0..<3).map { _ in freePort() }
            let servers = try ports.map {
                try start("redis-server", $0, text, ["--cluster-port", "\(freePort())"])
            }
            for port in ports {
                let answers = await eventually { try await cli(port, ["PING"]).contains("PONG") }
                #expect(answers, "\(servers.map(\.output))")
            }
            let made = try await cli(
                ports[0], ["--cluster", "create"] + ports.map { "127.0.0.1:\($0)" } + ["--cluster-yes"])
            for port in ports {
                let isWhole = await eventually(within: 30) {
                    try await cli(port, ["CLUSTER", "INFO"]).contains("cluster_state:ok")
                }
                #expect(isWhole, "\(made) \(servers.map(\.output))")
            }
        }
    }
}
