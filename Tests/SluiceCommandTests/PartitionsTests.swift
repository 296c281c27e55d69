// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@Suite("sluice partitions") struct PartitionsTests {
    private func run(
        _ arguments: [String], environment: [String: String] = [:]
    ) async throws -> (code: Int32?, output: String) {
        let command = try ChildProcess(
            Repository.binary, ["partitions"] + arguments, environment: environment)
        return (await command.exitCode(), command.output)
    }

    private func expected(_ cluster: RedisCluster) async throws -> String {
        var lines = ""
        for number in 0..<16 {
            let tag = "{\(number * 50)}"
            let owner = try await cluster.master(of: "sluice:\(tag):clock")
            lines += "\(number) \(tag) 127.0.0.1:\(owner.port)\n"
        }
        return lines
    }

    @Test("Each partition is shown at the master that has it, also after it has moved", .timeLimit(.minutes(2)))
    func owners() async throws {
        let cluster = try await RedisCluster(masters: 3)
        #expect(try await run(["--redis", cluster.url]) == (0, try await expected(cluster)))

        let slot = try await cluster.slot(of: "{700}")
        let source = try await cluster.master(ofSlot: slot)
        let target = try #require(try await cluster.masters().first { $0 !== source })
        try await cluster.move(slot: slot, to: target)
        let (code, output) = try await run(["--redis", cluster.url])
        let lines = try await expected(cluster)
        #expect(code == 0 && output == lines)
        #expect(output.contains("14 {700} 127.0.0.1:\(target.port)\n"))

        // One that is dead is no reason to know nothing; what was its own is still called so.
        await source.kill()
        #expect(try await run(["--redis", cluster.url]) == (0, output))
    }

    @Test(
        "Of servers that do not agree the one with the newest epoch counts, wherever it is named",
        .timeLimit(.minutes(1)))
    func epochs() async throws {
        let old = try await RedisCluster(masters: 1)
        let new = try await RedisCluster(masters: 3)
        let hosts = [old, new].map { "127.0.0.1:\($0.servers[0].port)" }
        let lines = try await expected(new)
        for order in [hosts, hosts.reversed()] {
            #expect(try await run(["--redis", "redis+cluster://" + order.joined(separator: ",")]) == (0, lines))
        }
    }

    @Test("A slot that nobody has is shown as a hole, and the exit code says so", .timeLimit(.minutes(1)))
    func hole() async throws {
        let cluster = try await RedisCluster(masters: 3)
        let slot = try await cluster.slot(of: "{700}")
        // Its owner first, because the others learn anew of whoever says that a slot is its own.
        let owner = try await cluster.master(ofSlot: slot)
        for server in [owner] + cluster.servers.filter({ $0 !== owner }) {
            try await server.ask("CLUSTER", "DELSLOTS", "\(slot)")
        }
        let (code, output) = try await run(["--redis", cluster.url])
        #expect(code == 1)
        #expect(output.contains("\n14 {700} -\n") && output.contains("\n15 {750} 127.0.0.1:"), "\(output)")
    }

    @Test("The login may be in SLUICE_REDIS, and is not shown when it is wrong", .timeLimit(.minutes(1)))
    func login() async throws {
        let cluster = try await RedisCluster(masters: 3)
        for server in cluster.servers { try await server.ask("ACL", "SETUSER", "ann", "on", ">open sesame", "+@all") }
        func url(_ password: String) -> [String: String] {
            ["SLUICE_REDIS": cluster.url.replacing("://", with: "://ann:\(password)@")]
        }
        #expect(try await run([], environment: url("open%20sesame")) == (0, try await expected(cluster)))
        let (code, output) = try await run([], environment: url("wrong-one"))
        #expect(code == 1 && output.contains("WRONGPASS") && !output.contains("wrong-one"), "\(output)")
    }

    @Test("What has no partitions is refused as bad usage, with the reason")
    func refusals() async throws {
        for url in ["redis://127.0.0.1", "rediss://127.0.0.1", "redis+sentinel://127.0.0.1/mymaster"] {
            for (arguments, environment) in [(["--redis", url], [:]), ([], ["SLUICE_REDIS": url])] {
                let (code, output) = try await run(arguments, environment: environment)
                #expect(code == 64 && output.contains("only a cluster has partitions"), "\(output)")
            }
        }
        for (text, problem) in [("", "give --redis, or set SLUICE_REDIS"), ("http://x", "SLUICE_REDIS must begin")] {
            let (code, output) = try await run([], environment: ["SLUICE_REDIS": text])
            #expect(code == 64 && output.contains(problem), "\(output)")
        }
    }

    @Test("A server that is none of a cluster is named, with the reason", .timeLimit(.minutes(1)))
    func lone() async throws {
        let redis = try await RedisServer()
        let (code, output) = try await run(["--redis", "redis+cluster://127.0.0.1:\(redis.port)"])
        #expect(code == 1)
        #expect(output.contains("127.0.0.1:\(redis.port): it is no server of a cluster"), "\(output)")
    }
}
