// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension ClusterTests {
    /// A node whose Redis is whom real Sentinels call master.
    @Suite("follows the Sentinels")
    struct SentinelNodeTests {
        /// How a master comes to be another's replica, or dead.
        enum End: CaseIterable {
            case askedFor, killed, paused

            func of(_ master: RedisServer, in deployment: SentinelDeployment) async throws -> RedisServer {
                switch self {
                case .askedFor: return try await deployment.failOver()
                case .killed: await master.kill()
                case .paused: master.signal(SIGSTOP)
                }
                return try await deployment.successor(of: master)
            }
        }

        @Test(
            "A master that is replaced closes no stream, and nothing that its successor takes is lost or comes twice",
            .timeLimit(.minutes(3)), arguments: End.allCases)
        func failover(end: End) async throws {
            let deployment = try await SentinelDeployment()
            let node = try await NodeProcess(["--redis", deployment.url, "--threads", "1"])
            #expect(await eventually { try await request(node.port, "GET", "/readyz").status == 200 })
            let stream = try await EventStreamClient.opened(port: node.port, "/events?topic=t&client=c")
            let master = try #require(try await deployment.current())
            _ = try await master.cli("FCALL", "sluice_publish", "1", "sluice:topic:t", "before")
            #expect(await stream.receives(1))
            // What the master has told nobody yet would be lost with it.
            #expect(try await master.cli("WAIT", "2", "5000") == "2")

            let successor = try await end.of(master, in: deployment)
            if end == .askedFor {
                // For a moment both call themselves master, and the node's clock may come from the former.
                let isThere = await eventually {
                    try await successor.cli("PUBSUB", "NUMSUB", "sluice:client:c") == "sluice:client:c\n1"
                }
                #expect(isThere)
            }
            for number in 0..<20 {
                let reply = try await successor.cli(
                    "FCALL", "sluice_publish", "1", number.isMultiple(of: 2) ? "sluice:topic:t" : "sluice:client:c",
                    "\(number)")
                #expect(reply.contains(/^[0-9]+-/), "\(reply)")
            }
            #expect(await stream.receives(21))
            // Back from the dead it calls itself master until the Sentinels tell it otherwise.
            if end == .paused { master.signal(SIGCONT) }
            #expect(
                await eventually {
                    try await publish(node.port, #"{"topic":"t","data":"through the node"}"#).status == 200
                })
            #expect(await stream.waits { $0.messages.last?.data == "through the node" })
            #expect(
                stream.data == ["before"] + (0..<20).map(String.init) + ["through the node"],
                "\(stream.now.events) \(node.output)")
            #expect(stream.now.openings == 1 && !stream.now.isOver)
            let length = try await successor.cli("XLEN", "sluice:topic:t")
            #expect(length == "12")
            let gaps = stream.now.events.filter { $0.type == "gap" }
            #expect(gaps.isEmpty, "\(node.output)")
        }

        @Test(
            "A former master that lives on, takes writes and knows nothing of it is left", .timeLimit(.minutes(2)))
        func zombie() async throws {
            let deployment = try await SentinelDeployment()
            let node = try await NodeProcess(["--redis", deployment.url, "--threads", "1"])
            let stream = try await EventStreamClient.opened(port: node.port, "/events?topic=t")
            // The Sentinels forget the master and watch another one: no failover, no word to the former, no hint.
            let other = try await RedisServer()
            for sentinel in deployment.sentinels {
                try await sentinel.cli("SENTINEL", "REMOVE", SentinelDeployment.master)
                try await sentinel.cli(
                    "SENTINEL", "MONITOR", SentinelDeployment.master, "127.0.0.1", "\(other.port)", "2")
            }
            #expect(
                await eventually { try await other.cli("PUBSUB", "NUMSUB", "sluice:topic:t") == "sluice:topic:t\n1" })
            #expect(await eventually { try await other.cli("PUBLISH", "sluice:topic:t", "live") == "1" })
            #expect(await stream.waits { $0.messages.last?.data == "live" })
            let channels = try await deployment.servers[0].cli("PUBSUB", "CHANNELS", "sluice:*")
            #expect(channels.isEmpty)
            #expect(
                await eventually {
                    try await publish(node.port, #"{"topic":"t","data":"logged"}"#).status == 200
                })
            let length = try await other.cli("XLEN", "sluice:topic:t")
            #expect(length == "1", "commands go there, too: \(node.output)")
            #expect(stream.now.openings == 1)
        }

        @Test("A wrong name of the master leaves a node unready, and the log says why", .timeLimit(.minutes(1)))
        func wrongName() async throws {
            let deployment = try await SentinelDeployment()
            let node = try await NodeProcess(["--redis", deployment.url(master: "other")])
            let isSaid = await eventually { node.output.contains("the Sentinels know no master other") }
            #expect(isSaid, "\(node.output)")
            #expect(await eventually(within: 20) { try await request(node.port, "GET", "/readyz").status == 503 })
        }

        @Test(
            "sluice publish finds the master, and what it reads from a pipe follows a failover",
            .timeLimit(.minutes(2)))
        func publishes() async throws {
            let deployment = try await SentinelDeployment()
            func published(_ data: String) async throws -> String {
                let command = try ChildProcess(
                    Repository.binary, ["publish", "--redis", deployment.url, "--topic", "t", data])
                #expect(await command.exitCode() == 0, "\(command.output)")
                return command.output
            }
            #expect(try await published("one").hasPrefix("topic:t "))
            let master = try await deployment.failOver()
            #expect(try await published("two").hasPrefix("topic:t "))
            let length = try await master.cli("XLEN", "sluice:topic:t")
            #expect(length == "2")
        }
    }
}
