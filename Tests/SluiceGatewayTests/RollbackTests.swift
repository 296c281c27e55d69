// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    /// A data set that has forgotten what was published last, in real servers: a restart with an older file, and replicas.
    @Suite("is told by a Redis that went back what it lacks", .serialized)
    struct RollbackTests {
        /// What a node has heard counts once it has outlived this by its ticks.
        private static let heard = Duration.seconds(5)

        private static func publish(_ redis: RedisServer, _ topic: String, _ data: String) async throws -> String {
            let client = try await RedisClient(redis)
            let reply = try await client.command("FCALL", "sluice_publish", "1", "sluice:topic:\(topic)", data)
            return String(try #require(reply.split(separator: " ").first))
        }

        private static func publish(
            _ redis: RedisServer, _ topic: String, _ numbers: ClosedRange<Int>
        ) async throws
            -> [String]
        {
            var ids: [String] = []
            for number in numbers { ids.append(try await publish(redis, topic, "\(topic)\(number)")) }
            return ids
        }

        private func stream(
            _ node: NodeProcess, _ query: String, after cursor: String? = nil
        ) async throws
            -> EventStreamClient
        {
            var options = EventStreamClient.Options()
            if let cursor { options.headers["Last-Event-ID"] = cursor }
            return try await EventStreamClient.opened(port: node.port, "/events?\(query)", options: options)
        }

        private func gaps(_ client: EventStreamClient) -> [(from: String, to: String, topics: String)] {
            client.now.events.filter { $0.type == "gap" }.compactMap { event in
                event.data.firstMatch(of: /"from":"(.*?)","to":"(.*?)","topics":(.*)\}/).map {
                    (String($0.1), String($0.2), String($0.3))
                }
            }
        }

        /// The stream was told of exactly one hole of this topic.
        private func isTold(_ client: EventStreamClient, of topic: String, from: String, to: String) async -> Bool {
            let isTold = await client.waits(within: 6) { _ in !gaps(client).isEmpty }
            let told = gaps(client)
            return isTold && told.count == 1
                && told.allSatisfy { $0.from == from && $0.to == to && $0.topics == "[\"topic:\(topic)\"]" }
        }

        private static func copy(_ from: String, _ to: String) throws {
            try? FileManager.default.removeItem(atPath: to)
            try FileManager.default.copyItem(atPath: from, toPath: to)
        }

        @Test(
            "A restart with an older file, and somebody who publishes before any node is there",
            .timeLimit(.minutes(2)))
        func olderFile() async throws {
            let directory = NSTemporaryDirectory() + "sluice-rollback-\(UUID())"
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: directory) }
            let redis = try await RedisServer(directory: directory)
            let nodes = [try await NodeProcess(redis: redis), try await NodeProcess(redis: redis)]
            let open = try await stream(nodes[0], "topic=a&topic=b")
            let quiet = try await stream(nodes[0], "topic=quiet")
            let still = try await RollbackTests.publish(redis, "quiet", 1...1)
            let a = try await RollbackTests.publish(redis, "a", 1...5)
            let b = try await RollbackTests.publish(redis, "b", 1...1)
            #expect(await open.receives(6))
            #expect(await quiet.receives(1))
            try await Task.sleep(for: RollbackTests.heard)
            let file = "\(directory)/appendonlydir"
            try RollbackTests.copy(file, file + ".old")
            let lost = try await RollbackTests.publish(redis, "a", 6...10)
            let lostOfB = try await RollbackTests.publish(redis, "b", 2...2)
            #expect(await open.receives(12))

            for node in nodes { node.signal(SIGSTOP) }
            await redis.kill()
            try RollbackTests.copy(file + ".old", file)
            let again = try await RedisServer(port: redis.port, directory: directory)
            let after = try await RollbackTests.publish(again, "a", 11...13)
            for node in nodes { node.signal(SIGCONT) }
            #expect(after[0] > lost[4], "ids never go back")

            #expect(await open.receives(15))
            let more = try await RollbackTests.publish(again, "b", 3...3)
            #expect(await open.receives(16))
            let expected =
                (1...5).map { "a\($0)" } + ["b1"] + (6...10).map { "a\($0)" } + ["b2", "a11", "a12", "a13", "b3"]
            #expect(open.data == expected && gaps(open).isEmpty && open.now.openings == 1)
            let told = Told(a: a, b: b, lost: lost, lostOfB: lostOfB, after: after, quiet: still)
            for node in nodes { try await check(node, told, mayHave: node.id == nodes[0].id) }
            #expect(more[0] > lostOfB[0] && quiet.data == ["quiet1"] && gaps(quiet).isEmpty)
        }

        /// The ids of what was published before the copy of the file, was lost with it, and came after.
        private struct Told {
            let a, b, lost, lostOfB, after, quiet: [String]
        }

        /// - Parameter mayHave: the node has heard what is lost, and may give it from its ring.
        private func check(_ node: NodeProcess, _ ids: Told, mayHave: Bool) async throws {
            let behind = try await stream(node, "topic=a", after: ids.a[2])
            #expect(await behind.waits { $0.messages.last?.data == "a13" })
            if mayHave, behind.data.contains("a6") {
                #expect(behind.data == (4...13).map { "a\($0)" } && gaps(behind).isEmpty)
            } else {
                #expect(await isTold(behind, of: "a", from: ids.a[4], to: ids.lost[4]))
                #expect(behind.data == ["a4", "a5", "a11", "a12", "a13"])
            }
            for cursor in [ids.lost[4], ids.lostOfB[0], ids.after[0]] {
                let had = try await stream(node, "topic=a", after: cursor)
                #expect(await had.receives(cursor == ids.after[0] ? 2 : 3) && gaps(had).isEmpty)
            }
            let other = try await stream(node, "topic=quiet", after: ids.quiet[0])
            #expect(await other.waits { $0.events.contains { $0.type == "checkpoint" } } && gaps(other).isEmpty)
            let earliest = try await stream(node, "topic=b&last_event_id=earliest")
            #expect(await earliest.waits { $0.messages.last?.data == "b3" })
            if mayHave, earliest.data.contains("b2") {
                #expect(earliest.data == ["b1", "b2", "b3"] && gaps(earliest).isEmpty)
            } else {
                #expect(await isTold(earliest, of: "b", from: ids.b[0], to: ids.lostOfB[0]))
                #expect(earliest.data == ["b1", "b3"])
            }
            guard !mayHave else { return }
            let between = try await stream(node, "topic=a&topic=b", after: ids.lost[1])
            #expect(await between.waits(within: 6) { _ in gaps(between).count == 2 })
            #expect(gaps(between).contains { $0.from == ids.a[4] && $0.to == ids.lost[4] })
            #expect(gaps(between).contains { $0.to == ids.lostOfB[0] && $0.from <= ids.b[0] })
        }

        /// A master, its replica and a name that leads to the master.
        private struct Pair {
            let master: RedisServer
            let replica: RedisServer
            /// Between the two.
            let link: Relay
            let relay: Relay

            init() async throws {
                master = try await RedisServer(arguments: ["--repl-diskless-sync-delay", "0"])
                replica = try await RedisServer()
                link = try await Relay(to: master.port)
                relay = try await Relay(to: master.port)
                try await replica.cli("REPLICAOF", "127.0.0.1", "\(link.port)")
                let replica = replica
                #expect(
                    await eventually {
                        try await replica.cli("INFO", "replication").contains("master_link_status:up")
                    })
            }

            /// What was published before is on the replica.
            func settle() async throws {
                let offset = try await Pair.offset(master)
                #expect(await eventually { try await Pair.offset(replica) >= offset })
            }

            private static func offset(_ redis: RedisServer) async throws -> Int {
                let text = try await redis.cli("INFO", "replication").firstMatch(of: /master_repl_offset:([0-9]+)/)
                return try #require(text.flatMap { Int($0.1) })
            }

            func node() async throws -> NodeProcess { try await NodeProcess(["--redis", relay.url]) }

            /// The replica gets nothing more.
            func cut() async throws {
                try await settle()
                link.lead(to: freePort())
                // What is published before that may still get there.
                let isCut = await eventually {
                    try await replica.cli("INFO", "replication").contains("master_link_status:down")
                }
                #expect(isCut)
            }

            func promote() async throws {
                try await replica.cli("REPLICAOF", "NO", "ONE")
                relay.lead(to: replica.port)
            }
        }

        @Test("A replica that had everything takes over: nobody hears of it", .timeLimit(.minutes(2)))
        func cleanFailover() async throws {
            let pair = try await Pair()
            let node = try await pair.node()
            let open = try await stream(node, "topic=a")
            let ids = try await RollbackTests.publish(pair.master, "a", 1...5)
            #expect(await open.receives(5))
            try await Task.sleep(for: RollbackTests.heard)
            let last = try await RollbackTests.publish(pair.master, "a", 6...9)
            #expect(await open.receives(9))
            try await pair.settle()
            await pair.master.kill()
            try await pair.promote()
            let after = try await RollbackTests.publish(pair.replica, "a", 10...12)
            #expect(await open.receives(12) && open.data == (1...12).map { "a\($0)" })
            for (cursor, count) in [(ids[0], 11), (last[3], 3), (after[2], 0)] {
                let resumed = try await stream(node, "topic=a", after: cursor)
                #expect(
                    await resumed.waits { $0.messages.count >= count && $0.events.contains { $0.type == "checkpoint" } }
                )
                #expect(resumed.data == (13 - count..<13).map { "a\($0)" } && gaps(resumed).isEmpty)
            }
            try await Task.sleep(for: RollbackTests.heard)
            #expect(gaps(open).isEmpty && open.now.openings == 1)
            #expect(try await pair.replica.cli("GET", "sluice:last:topic:a") == after[2])
        }

        @Test(
            "A replica that lagged takes over: what it lacks is told to who had it not; with two masters all of both comes",
            .timeLimit(.minutes(2)), arguments: [false, true])
        func laggingReplica(masterLives: Bool) async throws {
            let pair = try await Pair()
            let node = try await pair.node()
            // It hears nothing of the topic before.
            let second = try await pair.node()
            let open = try await stream(node, "topic=a")
            let ids = try await RollbackTests.publish(pair.master, "a", 1...3)
            #expect(await open.receives(3))
            try await Task.sleep(for: RollbackTests.heard)
            try await pair.cut()
            var lost = try await RollbackTests.publish(pair.master, "a", 4...5)
            #expect(await open.receives(5))
            var expected = ["a1", "a2", "a3", "a4", "a5"]
            if masterLives {
                try await pair.replica.cli("REPLICAOF", "NO", "ONE")
                _ = try await RollbackTests.publish(pair.replica, "a", 6...7)
                lost += try await RollbackTests.publish(pair.master, "a", 8...8)
                #expect(await open.receives(6))
                expected += ["a8", "a6", "a7"]
            } else {
                await pair.master.kill()
            }
            try await pair.promote()
            _ = try await RollbackTests.publish(pair.replica, "a", 9...9)
            expected += ["a9"]
            #expect(await open.receives(expected.count))
            #expect(open.data == expected && gaps(open).isEmpty && open.now.openings == 1)
            let newest = try #require(lost.last)
            let behind = try await stream(second, "topic=a", after: ids[1])
            #expect(await isTold(behind, of: "a", from: ids[2], to: newest))
            #expect(await behind.receives(masterLives ? 4 : 2))
            #expect(behind.data == (masterLives ? ["a3", "a6", "a7", "a9"] : ["a3", "a9"]))
            let had = try await stream(node, "topic=a", after: newest)
            #expect(await had.receives(1) && had.data.last == "a9")
            try await Task.sleep(for: RollbackTests.heard)
            #expect(gaps(open).isEmpty && open.data == expected)
        }

        /// Two masters: one node listens to the former, which gives its streams ids that are later than what the other, which
        /// already listens to the successor, has had. It dies before it can tell anybody.
        @Test(
            "Who comes with a cursor that a former master gave out is told what the successor had before; nobody else",
            .timeLimit(.minutes(2)))
        func cursorOfFormerMaster() async throws {
            let pair = try await Pair()
            let second = try await Relay(to: pair.master.port)
            let (late, early) = (try await pair.node(), try await NodeProcess(["--redis", second.url]))
            let query = "topic=a&topic=b"
            let first = try await stream(late, query)
            _ = try await RollbackTests.publish(pair.master, "a", 1...1)
            let ids = try await RollbackTests.publish(pair.master, "b", 1...1)
            #expect(await first.receives(2))
            try await Task.sleep(for: RollbackTests.heard)
            try await pair.cut()
            try await pair.replica.cli("REPLICAOF", "NO", "ONE")
            second.lead(to: pair.replica.port)
            _ = try await RollbackTests.publish(pair.replica, "b", 2...2)
            let cursor = try await RollbackTests.publish(pair.master, "a", 2...2)[0]
            #expect(await first.receives(3) && first.data.last == "a2")
            late.signal(SIGKILL)

            let fresh = try await stream(early, query)
            for _ in 1...2 {
                let moved = try await stream(early, query, after: cursor)
                let isTold = await moved.waits { _ in
                    gaps(moved).contains { $0.topics.contains("topic:b") && $0.from >= ids[0] && $0.to == cursor }
                }
                #expect(isTold && gaps(moved).count == 1 && moved.data.isEmpty, "\(moved.now.events)")
            }
            let after = try await RollbackTests.publish(pair.replica, "b", 3...3)
            let clean = [
                try await stream(early, "topic=a", after: cursor), try await stream(early, query, after: after[0]),
            ]
            for stream in clean {
                #expect(await stream.waits { $0.events.contains { $0.type == "checkpoint" } } && gaps(stream).isEmpty)
            }
            #expect(await fresh.receives(1) && fresh.data == ["b3"] && gaps(fresh).isEmpty)
        }

        @Test(
            "A publisher that asks is told how many replicas have its event, and waits for them no longer than a second"
        )
        func replicas() async throws {
            let pair = try await Pair()
            let node = try await pair.node()
            let body = #"{"topic":"a","data":"x","replicas":1}"#
            func count() async throws -> String { try await TestSupport.publish(node.port, body).text }
            #expect(try await count().contains(#""replicas":1}"#))
            #expect(
                try await TestSupport.publish(node.port, #"{"topic":"a","data":"x"}"#).text.contains("replicas")
                    == false)
            try await pair.cut()
            #expect(try await count().contains(#""replicas":0}"#), "it is published all the same")
            #expect(try await pair.master.cli("XLEN", "sluice:topic:a").contains("3"))
            let lines = #"{"topics":["a","b"],"data":"x","replicas":2}"# + "\n" + #"{"topic":"a","data":"y"}"#
            let answer = try await TestSupport.request(
                node.port, "POST", "/publish", headers: ["Content-Type": "application/x-ndjson"],
                body: Array(lines.utf8))
            #expect(answer.text.matches(of: /"replicas":0/).count == 2)
            for wrong in ["0", "101", "\"1\"", "1,\"log\":false"] {
                let refused = try await TestSupport.publish(
                    node.port, #"{"topic":"a","data":"x","replicas":\#(wrong)}"#)
                #expect(refused.status == 400 && refused.text.contains("replicas"))
            }
        }
    }
}
