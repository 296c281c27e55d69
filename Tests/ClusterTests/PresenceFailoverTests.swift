// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension ClusterTests {
    @Suite("tells who is there through a failover")
    struct PresenceFailoverTests {
        /// What a backend knows that reads the presence stream of whatever Redis is master, and takes each event once.
        private actor Backend {
            private var seen: Set<String> = []
            private(set) var online: Set<String> = []

            func read(_ redis: RedisServer) async throws {
                let lines = try await redis.cli("XRANGE", "sluice:presence", "-", "+")
                    .split(separator: "\n").map(String.init)
                for index in lines.indices where lines[index] == "client" && index + 9 < lines.count {
                    guard seen.insert(lines[index + 9]).inserted else { continue }
                    if lines[index + 3] == "present" {
                        online.insert(lines[index + 1])
                    } else {
                        online.remove(lines[index + 1])
                    }
                }
            }
        }

        @Test(
            "Who reads the presence stream knows who is there after a node was killed and Redis has failed over",
            .timeLimit(.minutes(2)))
        func presenceFailover() async throws {
            let deployment = try await SentinelDeployment()
            var nodes: [NodeProcess] = []
            for number in 1...3 {
                nodes.append(
                    try await NodeProcess(["--redis", deployment.url, "--presence", "--node-id", "n\(number)"]))
            }
            let backend = Backend()
            var streams: [(client: String, node: Int, stream: EventStreamClient)] = []
            func open(_ client: String, _ node: Int) async throws {
                streams.append(
                    (
                        client, node,
                        try await EventStreamClient.opened(port: nodes[node].port, "/events?client=\(client)")
                    ))
            }
            for number in 0..<30 { try await open("c\(number)", number % 3) }
            var master = try #require(try await deployment.current())
            #expect(
                await eventually(within: 20) {
                    try await backend.read(master)
                    return await backend.online.count == 30
                })

            // Some leave and some come while the master is gone, and a node dies with it.
            await master.kill()
            await nodes[2].kill()
            for entry in streams where entry.node == 2 || entry.client.hasSuffix("1") { entry.stream.close() }
            streams.removeAll { $0.node == 2 || $0.client.hasSuffix("1") }
            for number in [2, 5, 8] { try await open("c\(number)", 0) }
            for number in 30..<35 { try await open("c\(number)", number % 2) }
            master = try await deployment.successor(of: master)
            let expected = Set(streams.map(\.client))
            let successor = master
            let isRight = await eventually(within: 40) {
                try await backend.read(successor)
                return await backend.online == expected
            }
            let online = await backend.online
            #expect(isRight, "\(online.symmetricDifference(expected)) \(nodes[0].output)")
        }
    }
}
