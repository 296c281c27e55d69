// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    @Suite("cuts clients off")
    struct DisconnectingTests {
        /// Two nodes on one Redis, and an administrator's token.
        private struct Pair {
            let redis: RedisServer
            let nodes: [GuardedNode]
            let admin: String

            static func start() async throws -> Pair {
                let redis = try await RedisServer()
                let nodes = [try await GuardedNode(redis: redis), try await GuardedNode(redis: redis)]
                return Pair(redis: redis, nodes: nodes, admin: try #require(try await Visitor.admin.token()))
            }

            /// One on each node.
            func streams(_ target: String, _ token: String? = nil) async throws -> [EventStreamClient] {
                var streams: [EventStreamClient] = []
                for node in nodes {
                    let stream = try await node.stream(target, token ?? admin)
                    // Then Redis has confirmed its channels.
                    #expect(await stream.waits { !$0.events.isEmpty })
                    streams.append(stream)
                }
                return streams
            }

            func fates(_ target: String, _ token: String? = nil) async throws -> [Knock.Fate] {
                var fates: [Knock.Fate] = []
                for node in nodes {
                    let knock = try await Knock(
                        node.port, target, headers: [("Authorization", "Bearer \(token ?? admin)")])
                    fates.append(knock.fate)
                    knock.close()
                }
                return fates
            }

            func disconnect(_ client: String, _ query: String = "") async throws -> HTTPAnswer {
                try await request(
                    nodes[0].port, "DELETE", "/clients/\(client)\(query)", headers: GuardedNode.bearer(admin))
            }
        }

        private func expectCleanEnd(_ streams: [EventStreamClient], within seconds: Double = 2) async {
            for stream in streams {
                #expect(await stream.waits(within: seconds) { $0.isOver })
                #expect(stream.now.cleanEnds == 1 && stream.now.retries.count == 2 && stream.now.failure == nil)
            }
        }

        @Test(
            "DELETE ends a client's streams on every node at once and nobody else's, and says how many nodes heard it",
            .timeLimit(.minutes(1)))
        func everywhere() async throws {
            let pair = try await Pair.start()
            let alice = try await pair.streams("/events?client=alice&topic=news")
            let others =
                try await pair.streams("/events?client=bob&topic=news") + pair.streams("/events?topic=news")
                + pair.streams("/events?client=alic") + pair.streams("/events?client=alice2")
            let answer = try await pair.disconnect("alice")
            #expect(answer.status == 200)
            #expect(answer.json?["client"] as? String == "alice")
            #expect(answer.json?["nodes"] as? Int == 2)
            await expectCleanEnd(alice)
            #expect(others.allSatisfy { $0.now.isOpen })
            // Nothing was said of staying away.
            #expect(try await pair.fates("/events?client=alice") == [.stream, .stream])
        }

        @Test(
            "With reconnect=false a client's requests are answered 204 on every node, until its time is over",
            .timeLimit(.minutes(1)))
        func exile() async throws {
            let pair = try await Pair.start()
            let alice = try await pair.streams("/events?client=alice")
            let start = ContinuousClock.now
            #expect(try await pair.disconnect("alice", "?reconnect=false&seconds=3").json?["nodes"] as? Int == 2)
            await expectCleanEnd(alice)
            while ContinuousClock.now - start < .seconds(2) {
                #expect(try await pair.fates("/events?client=alice") == [.answered(204), .answered(204)])
                #expect(try await pair.fates("/sse?client_id=alice") == [.answered(204), .answered(204)])
                #expect(try await pair.fates("/events?client=bob") == [.stream, .stream])
                try await Task.sleep(for: .milliseconds(300))
            }
            try await Task.sleep(until: start + .seconds(3.5))
            #expect(try await pair.fates("/events?client=alice") == [.stream, .stream])
        }

        @Test("A backend does the same with one PUBLISH on sluice:control", .timeLimit(.minutes(1)))
        func byRedis() async throws {
            let pair = try await Pair.start()
            let alice = try await pair.streams("/events?client=alice")
            let bob = try await pair.streams("/events?client=bob")
            let order = #"{"disconnect":"alice","reconnect":false,"seconds":2}"#
            #expect(try await pair.redis.cli("PUBLISH", "sluice:control", order) == "2")
            await expectCleanEnd(alice)
            #expect(try await pair.fates("/events?client=alice") == [.answered(204), .answered(204)])
            #expect(bob.allSatisfy { $0.now.isOpen })
            let isBack = await eventually(within: 5) {
                try await pair.fates("/events?client=alice") == [.stream, .stream]
            }
            #expect(isBack)
        }

        @Test(
            "A client's streams are also those that its token opened and that listen to topics only",
            .timeLimit(.minutes(1)))
        func byToken() async throws {
            let pair = try await Pair.start()
            let token = try #require(try await Visitor.subscriber.token())
            let alice = try await pair.streams("/events?topic=news", token)
            let carol = try await pair.streams(
                "/events?topic=news", try await Token(sub: "carol", sluice: .init(subscribe: ["news"])).signed())
            #expect(try await pair.disconnect("alice", "?reconnect=false&seconds=60").status == 200)
            await expectCleanEnd(alice)
            #expect(try await pair.fates("/events?topic=news", token) == [.answered(204), .answered(204)])
            #expect(carol.allSatisfy { $0.now.isOpen })
        }

        private static let malformed = [
            "", " ", "null", "1", "\"alice\"", "[]", "[\"alice\"]", "{", "{\"disconnect\":\"alice\"",
            #"{"disconnect":null}"#, #"{"disconnect":1}"#, #"{"disconnect":["alice"]}"#, #"{"disconnect":""}"#,
            #"{"disconnect":"a b"}"#, #"{"disconnect":"a\nb"}"#, #"{"disconnect":"{a}"}"#,
            #"{"disconnect":"alice","reconnect":"no"}"#, #"{"disconnect":"alice","reconnect":0}"#,
            #"{"disconnect":"alice","seconds":0}"#, #"{"disconnect":"alice","seconds":-1}"#,
            #"{"disconnect":"alice","seconds":86401}"#, #"{"disconnect":"alice","seconds":1.5}"#,
            #"{"disconnect":"alice","seconds":"9"}"#, #"{"disconnect":"alice","seconds":1e9}"#,
            #"{"disconnect":"alice","seconds":99999999999999999999}"#,
            #"{"disconnect":"alice","disconnect":"bob"}"#, "disconnect alice", #"{"pause":"alice"}"#,
            #"{"survey":"1","from":"no node"}"#,
            #"{"disconnect":"alice"} {"disconnect":"alice"}"#, "\u{1E}1 - -\n\n{\"disconnect\":\"alice\"}",
            #"{"disconnect":"\#(String(repeating: "a", count: 256))"}"#,
            #"{"disconnect":"alice","reconnect":false}"# + String(repeating: " ", count: 5000),
        ]

        @Test(
            "Malformed orders are counted, hardly logged, and harm nobody; a good one behind them is carried out",
            .timeLimit(.minutes(1)))
        func malformedOrders() async throws {
            let redis = try await RedisServer()
            let node = try await NodeProcess(redis: redis)
            let alice = try await EventStreamClient.opened(port: node.port, "/events?client=alice&topic=news")
            #expect(await alice.waits { !$0.events.isEmpty })
            var generator = SeededGenerator(seed: 4)
            let random = (0..<500).map { _ in
                (0..<Int.random(in: 0...300, using: &generator)).map { _ in UInt8.random(in: 0...255, using: &generator)
                }
            }
            let messages = DisconnectingTests.malformed.map { Array($0.utf8) } + random
            let client = try await RedisClient(redis)
            for message in messages { try await client.publish("sluice:control", message) }
            // A node of a later version may say this.
            for message in ["{}", #"{"DISCONNECT":"alice"}"#, #"{"merge":"alice","with":"bob"}"#] {
                try await client.publish("sluice:control", Array(message.utf8))
            }
            let isCounted = await eventually {
                try await node.metric("orders_malformed_total") == messages.count
            }
            #expect(isCounted)
            #expect(await eventually { try await node.metric("orders_unknown_total") == 3 })
            #expect(try await publish(node.port, #"{"topic":"news","data":"still here"}"#).status == 200)
            #expect(await alice.receives(1))
            #expect(alice.now.openings == 1 && alice.now.ends == 0)
            #expect(node.output.split(separator: "\n").count { $0.contains("control channel") } == 1)
            try await client.publish("sluice:control", Array(#"{"disconnect":"alice"}"#.utf8))
            await expectCleanEnd([alice])
            #expect(try await node.metric("orders_malformed_total") == messages.count)
        }

        @Test("A node without Redis does it for itself, on all of its loops", .timeLimit(.minutes(1)))
        func inMemory() async throws {
            let guarded = try await GuardedNode(["--threads", "3"])
            let admin = try #require(try await Visitor.admin.token())
            var alice: [EventStreamClient] = []
            for _ in 0..<9 { alice.append(try await guarded.stream("/events?client=alice", admin)) }
            let bob = try await guarded.stream("/events?client=bob", admin)
            let answer = try await request(
                guarded.port, "DELETE", "/clients/alice?reconnect=false&seconds=2", headers: GuardedNode.bearer(admin))
            #expect(answer.json?["nodes"] as? Int == 1)
            await expectCleanEnd(alice)
            #expect(bob.now.isOpen)
            let headers = [("Authorization", "Bearer \(admin)")]
            for _ in 0..<9 {
                let knock = try await Knock(guarded.port, "/events?client=alice", headers: headers)
                #expect(knock.fate == .answered(204))
            }
            let isBack = await eventually(within: 5) {
                try await Knock(guarded.port, "/events?client=alice", headers: headers).fate == .stream
            }
            #expect(isBack)
        }

        @Test("What a disconnect may say is checked", .timeLimit(.minutes(1)))
        func badRequests() async throws {
            let guarded = try await GuardedNode()
            let admin = GuardedNode.bearer(try await Visitor.admin.token())
            for target in [
                "/clients/a?seconds=0", "/clients/a?seconds=86401", "/clients/a?seconds=x", "/clients/a?seconds=",
                "/clients/a?seconds=1&seconds=2", "/clients/a?reconnect=maybe", "/clients/", "/clients/%7Ba%7D",
                "/clients/%0D%0A", "/clients/" + String(repeating: "a", count: 256), "/clients/%FF",
            ] {
                #expect(try await request(guarded.port, "DELETE", target, headers: admin).status == 400, "\(target)")
            }
            // Slashes and percent signs are part of a name, once decoded; a plain slash is the path's.
            for (client, status) in [("a%2Fb", 200), ("%25", 200), ("*", 200), ("a/b", 404)] {
                let answer = try await request(guarded.port, "DELETE", "/clients/\(client)", headers: admin)
                #expect(answer.status == status, "\(client)")
            }
        }

        @Test("While Redis is away nobody is told that a client was cut off: 503", .timeLimit(.minutes(1)))
        func redisAway() async throws {
            let redis = try await RedisServer()
            let guarded = try await GuardedNode(redis: redis)
            let admin = GuardedNode.bearer(try await Visitor.admin.token())
            #expect(try await request(guarded.port, "DELETE", "/clients/alice", headers: admin).status == 200)
            await redis.kill()
            let isRefused = await eventually {
                let answer = try await request(guarded.port, "DELETE", "/clients/alice", headers: admin)
                return answer.status == 503 && answer.json?["error"] as? String == "unavailable"
                    && answer["Retry-After"] != nil
            }
            #expect(isRefused)
        }
    }
}
