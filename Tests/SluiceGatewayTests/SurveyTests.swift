// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    @Suite("says who is there")
    struct SurveyTests {
        /// Three nodes on one Redis.
        private struct Trio {
            let redis: RedisServer
            let nodes: [NodeProcess]

            static func start(_ arguments: [String] = []) async throws -> Trio {
                let redis = try await RedisServer()
                var nodes: [NodeProcess] = []
                for number in 1...3 {
                    nodes.append(
                        try await NodeProcess(redis: redis, ["--node-id", "n\(number)", "--threads", "2"] + arguments))
                }
                return Trio(redis: redis, nodes: nodes)
            }

            func stream(
                _ node: Int, _ target: String, _ options: EventStreamClient.Options = .init()
            ) async throws -> EventStreamClient {
                try await EventStreamClient.opened(port: nodes[node].port, target, options: options)
            }

            /// What a node says of itself and the others.
            func report(_ node: Int) async throws -> (nodes: [[String: Any]], isComplete: Bool?) {
                let json = try await request(nodes[node].adminPort, "GET", "/nodes").json
                return (json?["nodes"] as? [[String: Any]] ?? [], json?["complete"] as? Bool)
            }
        }

        private func ask(_ port: Int, _ path: String) async throws -> String {
            let answer = try await request(port, "GET", path)
            #expect(answer.status == 200, "\(answer.text)")
            return answer.text
        }

        private func presence(_ port: Int, _ body: String) async throws -> HTTPAnswer {
            try await request(port, "POST", "/presence", body: Array(body.utf8))
        }

        @Test("Streams are counted exactly over all nodes, whichever is asked", .timeLimit(.minutes(1)))
        func counts() async throws {
            let trio = try await Trio.start()
            var streams: [EventStreamClient] = []
            for (node, target) in [
                (0, "/events?client=ann&topic=news"), (0, "/events?client=ann"), (1, "/events?client=ann&topic=news"),
                (2, "/events?topic=news"), (2, "/events?client=b%C3%B6b"),
            ] { streams.append(try await trio.stream(node, target)) }
            for node in trio.nodes {
                #expect(
                    try await ask(node.port, "/clients/ann")
                        == #"{"client":"ann","streams":3,"nodes":[{"node":"n1","streams":2},{"node":"n2","streams":1}],"complete":true}"#
                )
                #expect(
                    try await ask(node.port, "/topics/news")
                        == #"{"topic":"news","streams":3,"nodes":[{"node":"n1","streams":1},{"node":"n2","streams":1},{"node":"n3","streams":1}],"complete":true}"#
                )
                #expect(
                    try await ask(node.port, "/clients/nobody")
                        == #"{"client":"nobody","streams":0,"nodes":[],"complete":true}"#)
                let answer = try await presence(node.port, #"{"clients":["ann","bob","böb","ann"],"topics":["news"]}"#)
                #expect(
                    answer.text == #"{"clients":{"ann":3,"bob":0,"böb":1},"topics":{"news":3},"complete":true}"#)
            }
            streams[0].close()
            #expect(
                await eventually {
                    try await ask(trio.nodes[2].port, "/clients/ann").hasPrefix(#"{"client":"ann","streams":2,"#)
                })
        }

        @Test("A thousand names are one question, and more are refused", .timeLimit(.minutes(1)))
        func manyNames() async throws {
            let trio = try await Trio.start()
            let longest = (0..<1000).map { String(repeating: "x", count: 251) + "\($0 + 1000)" }
            let stream = try await trio.stream(1, "/events?client=\(longest[999])")
            #expect(stream.now.isOpen)
            func body(_ names: [String]) -> String {
                #"{"clients":[\#(names.map { "\"\($0)\"" }.joined(separator: ","))]}"#
            }
            let answer = try await presence(trio.nodes[0].port, body(longest))
            let clients = answer.json?["clients"] as? [String: Int]
            #expect(clients?.count == 1000 && clients?[longest[999]] == 1 && answer.json?["complete"] as? Bool == true)
            #expect(clients?.values.reduce(0, +) == 1)
            #expect(try await presence(trio.nodes[0].port, body(longest + ["y"])).status == 400)
            for bad in [
                "", "[]", "{}", #"{"clients":[]}"#, #"{"clients":"ann"}"#, #"{"clients":[1]}"#, #"{"x":[]}"#,
                #"{"topics":["a b"]}"#, #"{"topics":[["a"]]}"#, #"{"clients":{"ann":1}}"#,
            ] { #expect(try await presence(trio.nodes[0].port, bad).status == 400, "\(bad)") }
        }

        @Test(
            "A node that is stopped makes the answer incomplete after a quarter of a second",
            .timeLimit(.minutes(1)))
        func stopped() async throws {
            let trio = try await Trio.start()
            let streams = [
                try await trio.stream(0, "/events?client=ann"), try await trio.stream(1, "/events?client=ann"),
            ]
            #expect(streams.allSatisfy { $0.now.isOpen })
            trio.nodes[1].signal(SIGSTOP)
            defer { trio.nodes[1].signal(SIGCONT) }
            let start = ContinuousClock.now
            #expect(
                try await ask(trio.nodes[2].port, "/clients/ann")
                    == #"{"client":"ann","streams":1,"nodes":[{"node":"n1","streams":1}],"complete":false}"#)
            let time = ContinuousClock.now - start
            #expect(time >= .milliseconds(250) && time < .seconds(2), "\(time)")
            let (nodes, isComplete) = try await trio.report(2)
            #expect(isComplete == false && nodes.map { $0["node"] as? String } == ["n1", "n2", "n3"])
            let silent = try #require(nodes.first { $0["answered"] as? Bool == false })
            #expect(silent["node"] as? String == "n2" && silent["version"] as? String != nil)
            #expect(silent["listen"] as? String == "127.0.0.1:\(trio.nodes[1].port)" && silent["memory"] == nil)
        }

        @Test("A node that ends is off the registry at once", .timeLimit(.minutes(1)))
        func ended() async throws {
            let trio = try await Trio.start(["--drain", "0s"])
            #expect(try await trio.report(0).nodes.count == 3)
            trio.nodes[1].signal(SIGTERM)
            #expect(await trio.nodes[1].exitCode() == 0)
            let (nodes, isComplete) = try await trio.report(0)
            #expect(nodes.map { $0["node"] as? String } == ["n1", "n3"] && isComplete == true)
            #expect(try await trio.redis.cli("EXISTS", "sluice:node:n2") == "0")
        }

        @Test("/nodes says how each node is", .timeLimit(.minutes(1)))
        func nodes() async throws {
            let trio = try await Trio.start()
            let stream = try await trio.stream(1, "/events?topic=news")
            #expect(stream.now.isOpen)
            #expect(try await publish(trio.nodes[0].port, #"{"topic":"news","data":"1"}"#).status == 200)
            #expect(await stream.receives(1))
            let (nodes, isComplete) = try await trio.report(0)
            #expect(isComplete == true && nodes.count == 3)
            for (index, node) in nodes.enumerated() {
                #expect(node["node"] as? String == "n\(index + 1)" && node["answered"] as? Bool == true)
                #expect(
                    node["ready"] as? Bool == true && node["problem"] is NSNull && node["draining"] as? Bool == false)
                #expect(node["listen"] as? String == "127.0.0.1:\(trio.nodes[index].port)")
                #expect(node["streams"] as? Int == (index == 1 ? 1 : 0))
                #expect((node["events_out"] as? Int ?? -1) == (index == 1 ? 1 : 0))
                #expect((node["partitions_down"] as? [Int]) == [])
                for name in ["started", "memory", "descriptors", "descriptors_max"] {
                    #expect(node[name] as? Int ?? 0 > 0, "\(name)")
                }
                for name in ["behind", "gaps", "shed", "events_in"] { #expect(node[name] as? Int != nil, "\(name)") }
                #expect(node["silent"] as? Double ?? -1 >= 0)
            }
            // What anybody may read there.
            let entry = try await trio.redis.cli("HGETALL", "sluice:node:n2")
            for name in ["version", "started", "listen", "streams", "ready", "draining"] {
                #expect(entry.contains("\(name)\n"), "\(entry)")
            }
            let life = try #require(Int(try await trio.redis.cli("TTL", "sluice:node:n2")))
            #expect((1...15).contains(life))
        }

        @Test("/nodes names the slowest streams, for as long as they are behind", .timeLimit(.minutes(1)))
        func slowest() async throws {
            let trio = try await Trio.start()
            var options = EventStreamClient.Options()
            options.receiveBuffer = 4096
            let slow = try await trio.stream(1, "/events?topic=t&client=ann", options)
            let good = try await trio.stream(1, "/events?topic=t")
            slow.pause()
            let data = String(repeating: "x", count: 100_000)
            for _ in 0..<60 {
                #expect(try await publish(trio.nodes[0].port, "{\"topic\":\"t\",\"data\":\"\(data)\"}").status == 200)
            }
            #expect(await good.receives(60, within: 30))
            func slowest() async throws -> [[String: Any]] {
                try await trio.report(0).nodes.flatMap { $0["slowest"] as? [[String: Any]] ?? [] }
            }
            let first = try #require(try await slowest().first)
            #expect(first["stream"] as? String == "client:ann" && first["seconds"] as? Double ?? 0 > 0, "\(first)")
            #expect(try await slowest().count == 1)
            slow.resume()
            #expect(await slow.receives(60, within: 30))
            #expect(await eventually { try await slowest().isEmpty })
        }

        @Test("Answers and questions of strangers harm nobody", .timeLimit(.minutes(1)))
        func strangers() async throws {
            let trio = try await Trio.start()
            let stream = try await trio.stream(1, "/events?client=ann")
            let client = try await RedisClient(trio.redis)
            var generator = SeededGenerator(seed: 9)
            for number in 0..<300 {
                let bytes = (0..<Int.random(in: 0...300, using: &generator)).map { _ in
                    UInt8.random(in: 0...255, using: &generator)
                }
                try await client.publish("sluice:node:n1", bytes)
                try await client.publish("sluice:node:n1", Array("{".utf8) + bytes)
                try await client.publish(
                    "sluice:node:n1", Array(#"{"answer":"x\#(number)","node":"evil","counts":[7]}"#.utf8))
                try await client.publish(
                    "sluice:control", Array(#"{"survey":"x\#(number)","from":"evil","clients":["ann"]}"#.utf8))
            }
            #expect(
                try await ask(trio.nodes[0].port, "/clients/ann")
                    == #"{"client":"ann","streams":1,"nodes":[{"node":"n2","streams":1}],"complete":true}"#)
            #expect(stream.now.openings == 1 && stream.now.ends == 0)
            // A foreign listener changes nothing.
            let listener = try await ForeignListener(trio.redis, "sluice:control")
            #expect(try await ask(trio.nodes[0].port, "/clients/ann").hasSuffix(#""complete":true}"#))
            await listener.stop()
        }

        @Test(
            "Without Redis the answer is 503, within two seconds", .timeLimit(.minutes(1)),
            arguments: [SIGKILL, SIGSTOP])
        func redisAway(signal: Int32) async throws {
            let redis = try await RedisServer()
            let node = try await NodeProcess(redis: redis)
            redis.signal(signal)
            defer { redis.signal(SIGCONT) }
            for path in ["/clients/ann", "/topics/news"] {
                let start = ContinuousClock.now
                let answer = try await request(node.port, "GET", path)
                #expect(answer.status == 503 && answer.json?["error"] as? String == "unavailable", "\(answer.text)")
                #expect(ContinuousClock.now - start < .seconds(2))
            }
            #expect(try await request(node.adminPort, "GET", "/nodes").status == 503)
        }

        @Test("A node without Redis answers for itself", .timeLimit(.minutes(1)))
        func inMemory() async throws {
            let node = try await NodeProcess(["--node-id", "alone", "--threads", "3"])
            var streams: [EventStreamClient] = []
            for _ in 0..<5 { streams.append(try await EventStreamClient.opened(port: node.port, "/events?client=ann")) }
            #expect(
                try await ask(node.port, "/clients/ann")
                    == #"{"client":"ann","streams":5,"nodes":[{"node":"alone","streams":5}],"complete":true}"#)
            let json = try await request(node.adminPort, "GET", "/nodes").json
            #expect((json?["nodes"] as? [[String: Any]])?.first?["streams"] as? Int == 5)
        }

        @Test("In a cluster nodes find each other over its first partition", .timeLimit(.minutes(2)))
        func cluster() async throws {
            let redis = try await RedisCluster(masters: 3)
            let first = try await NodeProcess(["--redis", redis.url, "--node-id", "n1"])
            let second = try await NodeProcess(["--redis", redis.url, "--node-id", "n2"])
            let streams = [
                try await EventStreamClient.opened(port: first.port, "/events?client=ann"),
                try await EventStreamClient.opened(port: second.port, "/events?client=ann"),
            ]
            #expect(streams.allSatisfy { $0.now.isOpen })
            #expect(
                try await ask(first.port, "/clients/ann")
                    == #"{"client":"ann","streams":2,"nodes":[{"node":"n1","streams":1},{"node":"n2","streams":1}],"complete":true}"#
            )
            let json = try await request(second.adminPort, "GET", "/nodes").json
            #expect((json?["nodes"] as? [[String: Any]])?.count == 2 && json?["complete"] as? Bool == true)
            let pause = try await request(
                second.port, "POST", "/clients/ann/pause", body: Array(#"{"seconds":60}"#.utf8))
            #expect(pause.text == #"{"client":"ann","nodes":2}"#)
            for stream in streams { #expect(await stream.waits { $0.isOver }) }
            first.signal(SIGTERM)
        }
    }

    @Suite("tells clients to come back later")
    struct PauseTests {
        @Test(
            "A pause ends the streams of one client on every node, with the time to come back", .timeLimit(.minutes(1)))
        func pause() async throws {
            let redis = try await RedisServer()
            let nodes = [try await NodeProcess(redis: redis), try await NodeProcess(redis: redis)]
            var ann: [EventStreamClient] = []
            var others: [EventStreamClient] = []
            for node in nodes {
                ann.append(try await EventStreamClient.opened(port: node.port, "/events?client=ann&topic=news"))
                others.append(try await EventStreamClient.opened(port: node.port, "/events?client=ann2&topic=news"))
            }
            let before = Date().timeIntervalSince1970 * 1000
            let answer = try await request(
                nodes[0].port, "POST", "/clients/ann/pause", body: Array(#"{"seconds":60}"#.utf8))
            #expect(answer.status == 200 && answer.text == #"{"client":"ann","nodes":2}"#)
            for stream in ann {
                #expect(await stream.waits { $0.isOver })
                let state = stream.now
                #expect(state.cleanEnds == 1 && state.failure == nil && state.retries.last == 60_000)
                let event = try #require(state.events.last)
                let end = try #require(Double(event.data))
                #expect(event.type == "pause" && end >= before + 59_000 && end <= before + 75_000)
            }
            #expect(others.allSatisfy { $0.now.isOpen })
            for bad in [
                "", "{}", #"{"seconds":0}"#, #"{"seconds":86401}"#, #"{"seconds":"1"}"#, #"{"seconds":1,"x":1}"#,
            ] {
                let answer = try await request(nodes[0].port, "POST", "/clients/ann/pause", body: Array(bad.utf8))
                #expect(answer.status == 400, "\(bad)")
            }
            // Whoever comes back all the same is not turned away.
            let again = try await EventStreamClient.opened(port: nodes[1].port, "/events?client=ann")
            #expect(again.now.isOpen)
        }
    }
}

/// Somebody who listens to a channel and never says anything.
private final class ForeignListener: Sendable {
    private let process: ChildProcess

    init(_ redis: RedisServer, _ channel: String) async throws {
        process = try ChildProcess("redis-cli", ["-p", "\(redis.port)", "SUBSCRIBE", channel])
        guard await eventually(within: 10, { self.process.output.contains(channel) }) else {
            throw ChildProcess.Failure(description: process.output)
        }
    }

    func stop() async {
        process.signal(SIGKILL)
        _ = await process.exitCode()
    }
}
