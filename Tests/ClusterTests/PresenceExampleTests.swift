// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension ClusterTests {
    @Suite("has a backend that knows who is online")
    struct PresenceExampleTests {
        @Test(
            "deploy/examples/presence.py has a table of who is online, also of what came while it did not run",
            .enabled(if: BrowserScript.isPossible, BrowserScript.missing), .timeLimit(.minutes(1)))
        func presenceExample() async throws {
            let redis = try await RedisServer()
            var nodes: [NodeProcess] = []
            for number in 1...2 {
                nodes.append(try await NodeProcess(redis: redis, ["--presence", "--node-id", "n\(number)"]))
            }
            func backend() throws -> ChildProcess {
                try BrowserScript.example("presence", [redis.url])
            }
            func online() async throws -> Set<String> {
                Set(try await redis.cli("HKEYS", "app:online").split(separator: "\n").map(String.init))
            }
            let first = try backend()
            var streams: [String: EventStreamClient] = [:]
            for (index, client) in ["ann", "bob", "carol"].enumerated() {
                streams[client] = try await EventStreamClient.opened(
                    port: nodes[index % 2].port, "/events?client=\(client)")
            }
            #expect(await eventually(within: 20) { try await online() == ["ann", "bob", "carol"] }, "\(first.output)")
            #expect(first.output.contains("present ann on n1 now"))
            first.signal(SIGKILL)
            _ = await first.exitCode()
            streams["ann"]?.close()
            streams["dora"] = try await EventStreamClient.opened(port: nodes[0].port, "/events?client=dora")
            #expect(await eventually(within: 20) { try await redis.cli("XLEN", "sluice:presence") == "5" })
            let second = try backend()
            #expect(
                await eventually(within: 20) { try await online() == ["bob", "carol", "dora"] }, "\(second.output)")
            second.signal(SIGKILL)
        }
    }
}
