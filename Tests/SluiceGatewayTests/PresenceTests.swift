// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Beside the other tests of nodes, because these mostly wait.
@Suite("Nodes tell who comes and goes")
struct PresenceTests {
    /// The stream as a backend has it: each event once.
    private struct Changes {
        var entries: [(client: String, state: String, node: String, event: String)] = []

        init(_ redis: RedisServer) async throws {
            let lines = try await redis.cli("XRANGE", "sluice:presence", "-", "+").split(separator: "\n").map(
                String.init)
            var seen: Set<String> = []
            for index in lines.indices where lines[index] == "client" {
                let fields = lines[index..<min(index + 10, lines.count)].map { $0 }
                guard fields.count == 10, seen.insert(fields[9]).inserted else { continue }
                entries.append((fields[1], fields[3], fields[5], fields[9]))
            }
        }

        func states(_ client: String) -> [String] { entries.filter { $0.client == client }.map(\.state) }
    }

    private func node(_ redis: RedisServer, _ id: String) async throws -> NodeProcess {
        try await NodeProcess(redis: redis, ["--presence", "--node-id", id, "--threads", "2"])
    }

    private func stream(_ node: NodeProcess, _ client: String) async throws -> EventStreamClient {
        try await EventStreamClient.opened(port: node.port, "/events?client=\(client)")
    }

    private func states(_ redis: RedisServer, _ client: String) async throws -> [String] {
        try await Changes(redis).states(client)
    }

    @Test(
        "A client is present with its first stream and absent some seconds after its last one, over all nodes; a reconnect is no change",
        .timeLimit(.minutes(1)))
    func changes() async throws {
        let redis = try await RedisServer()
        let (a, b) = (try await node(redis, "a"), try await node(redis, "b"))
        let first = try await stream(a, "ann")
        let second = try await stream(b, "ann")
        let bob = try await stream(b, "b%C3%B6b")
        #expect(await eventually { try await states(redis, "böb") == ["present"] })
        #expect(try await states(redis, "ann") == ["present"])
        // From one node to another, with a moment in between.
        first.close()
        second.close()
        bob.close()
        try await Task.sleep(for: .seconds(2))
        let third = try await stream(b, "ann")
        let gone = ContinuousClock.now
        #expect(await eventually(within: 20) { try await states(redis, "böb") == ["present", "absent"] })
        #expect(ContinuousClock.now - gone > .seconds(1))
        #expect(third.now.isOpen)
        #expect(try await states(redis, "ann") == ["present"])
        third.close()
        #expect(await eventually(within: 20) { try await states(redis, "ann") == ["present", "absent"] })
        #expect(
            try await Changes(redis).entries.allSatisfy {
                $0.event.wholeMatch(of: /\w+-\d+-\d+\.(present|absent)/) != nil
            })
        #expect(try await redis.cli("HGETALL", "sluice:online").split(separator: "\n").count == 2)
    }

    @Test(
        "The clients of a node that died are absent within 20 s, but for those that came back elsewhere",
        .timeLimit(.minutes(1)))
    func death() async throws {
        let redis = try await RedisServer()
        let (a, b) = (try await node(redis, "a"), try await node(redis, "b"))
        var streams: [EventStreamClient] = []
        for client in ["ann", "bob"] { streams.append(try await stream(a, client)) }
        streams.append(try await stream(b, "carol"))
        #expect(await eventually { try await Changes(redis).entries.count == 3 })
        await a.kill()
        let death = ContinuousClock.now
        streams.append(try await stream(b, "bob"))
        #expect(await eventually(within: 25) { try await states(redis, "ann") == ["present", "absent"] })
        #expect(ContinuousClock.now - death < .seconds(20))
        let changes = try await Changes(redis)
        #expect(changes.states("bob") == ["present"] && changes.states("carol") == ["present"])
        #expect(changes.entries.last?.node == "a")
    }

    @Test(
        "A Redis that forgets everything, and nodes that are started anew, change nothing for who drops repeated events",
        .timeLimit(.minutes(1)))
    func flushed() async throws {
        let redis = try await RedisServer()
        let (a, b) = (try await node(redis, "a"), try await node(redis, "b"))
        let ann = try await stream(a, "ann")
        let bob = try await stream(b, "bob")
        #expect(await eventually { try await Changes(redis).entries.count == 2 })
        let before = try await Changes(redis).entries.map(\.event).sorted()
        try await redis.cli("FLUSHALL")
        // The same events again.
        #expect(
            await eventually(within: 10) { try await Changes(redis).entries.map(\.event).sorted() == before })
        bob.close()
        #expect(await eventually(within: 15) { try await states(redis, "bob") == ["present", "absent"] })
        // A process in the place of another takes what that has left.
        await a.kill()
        ann.close()
        let again = try await node(redis, "a")
        let annAgain = try await stream(again, "ann")
        try await Task.sleep(for: .seconds(7))
        #expect(try await states(redis, "ann") == ["present"])
        annAgain.close()
        #expect(await eventually(within: 15) { try await states(redis, "ann") == ["present", "absent"] })
    }

    @Test("In a cluster it is the stream of the first partition", .timeLimit(.minutes(1)))
    func cluster() async throws {
        let redis = try await RedisCluster(masters: 3)
        let node = try await NodeProcess(["--redis", redis.url, "--presence"])
        let stream = try await EventStreamClient.opened(port: node.port, "/events?client=ann")
        #expect(stream.now.isOpen)
        let master = try await redis.master(of: "sluice:{0}:presence")
        #expect(await eventually { try await master.ask("XLEN", "sluice:{0}:presence") == "1" })
    }

    @Test(
        "Idle clients cost Redis nothing: a node sends a command a second, however many it has",
        .timeLimit(.minutes(1)))
    func idle() async throws {
        let redis = try await RedisServer()
        let node = try await node(redis, "a")
        var streams: [EventStreamClient] = []
        for number in 0..<300 { streams.append(try await stream(node, "c\(number)")) }
        #expect(await eventually(within: 10) { try await redis.cli("XLEN", "sluice:presence") == "300" })
        func calls() async throws -> Int {
            let line = try await redis.cli("INFO", "commandstats").split(whereSeparator: \.isNewline)
                .first { $0.hasPrefix("cmdstat_fcall:") }
            return try #require(line?.firstMatch(of: /calls=(\d+)/).flatMap { Int($0.1) })
        }
        // What has just been told is followed by a sweep.
        try await Task.sleep(for: .seconds(3))
        let before = try await calls()
        try await Task.sleep(for: .seconds(9))
        let count = try await calls() - before
        #expect(count <= 9, "\(count)")
        #expect(streams.count == 300)
    }

    @Test("Without Redis there is nobody to tell", .timeLimit(.minutes(1)))
    func memory() async throws {
        let process = try ChildProcess(Repository.binary, ["serve", "--presence"])
        #expect(await process.exitCode() == 64)
        #expect(process.output.contains("--presence: is for a node with --redis"))
    }
}
