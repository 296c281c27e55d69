// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import SluiceRedis
import TestSupport
import Testing

@Suite("The function in a cluster")
struct SluiceClusterTests {
    private static let names = ClusterBench.names

    private static func news() throws -> Target { try Target.topic("news") }

    @Test(
        "with every key declared it publishes to who has subscribed to the shard's channel, once for each token",
        .timeLimit(.minutes(1)))
    func publishes() async throws {
        let bench = try await ClusterBench()
        let news = try SluiceClusterTests.news()
        let client = try await bench.client(news)
        let listener = try await RedisClient(bench.cluster.master(of: "sluice:{700}:topic:news"))
        #expect(
            try await listener.command("SSUBSCRIBE", "sluice:{700}:topic:news")
                == "ssubscribe sluice:{700}:topic:news 1")

        let first = try ClusterBench.receipt(try await client.send(RESPCommand(ClusterBench.publish(news))))
        let id = try #require(first.id)
        #expect(first.nodes == 1)
        #expect(try await listener.message() == "smessage sluice:{700}:topic:news \u{1E}1 \(id) -\n\nx")
        #expect(try await client.send("GET", "sluice:{700}:last:topic:news").string == "\(id)")
        #expect(try await client.send("HGET", "sluice:{700}:clock", "last").string == "\(id)")
        #expect(try await client.send("XLEN", "sluice:{700}:topic:news") == .integer(1))

        let once = try await client.send(RESPCommand(ClusterBench.publish(news, "once", "a b", "key", "k")))
        #expect(try await client.send(RESPCommand(ClusterBench.publish(news, "once", "a b", "key", "k"))) == once)
        #expect(try await client.send("XLEN", "sluice:{700}:topic:news") == .integer(2))

        let live = try ClusterBench.receipt(try await client.send(RESPCommand(ClusterBench.publish(news, "log", "0"))))
        #expect(live.id == nil && live.nodes == 1)
        #expect(try await bench.keyCount() == 4)
    }

    @Test(
        "a tick arrives on the node's own channel of the partition, and raises that partition's clock",
        .timeLimit(.minutes(1)))
    func ticks() async throws {
        let bench = try await ClusterBench()
        let client = try await bench.client(try SluiceClusterTests.news())
        let listener = try await RedisClient(bench.cluster.master(of: "{700}"))
        try await listener.command("SSUBSCRIBE", "sluice:{700}:node:n1")
        let tick = ["FCALL", "sluice_tick", "2", "sluice:{700}:node:n1", "sluice:{700}:clock", "99999999999999-7"]
        let reading = try #require(try await client.send(RESPCommand(tick)).array?.first?.string)
        #expect(reading == "99999999999999-7")
        #expect(try await listener.message().hasPrefix("smessage sluice:{700}:node:n1 tick \(reading) "))
        #expect(try await client.send("HGET", "sluice:{700}:clock", "last").string == reading)
        #expect(try await bench.keyCount() == 1)
    }

    @Test("the function, the gateway and Redis itself agree on the partition of every name", .timeLimit(.minutes(1)))
    func partitionsAgree() async throws {
        let bench = try await ClusterBench(masters: 1)
        let server = try await bench.cluster.masters()[0]
        let client = try await Client(try server.endpoint())
        var generator = SeededGenerator(seed: 7)
        var targets: [Target] = [
            .all, try .client("ann"), try .topic("news"), try .topic("ö/日本語😀"), try .topic("a:topic:b"),
        ]
        targets += try (0..<200).map { number in
            let name = String(
                String.UnicodeScalarView(
                    (0...number).map { _ in
                        Unicode.Scalar(UInt32.random(in: 0x3041...0x3090, using: &generator)) ?? "x"
                    }))
            let short = String(decoding: name.utf8.prefix(255 / 3 * 3), as: UTF8.self)
            return number.isMultiple(of: 2) ? try .topic("\(short.prefix(80))") : try .client("n\(number)")
        }
        var seen: Set<Partition> = []
        for target in targets {
            let partition = Partitioning.cluster.partition(of: target)
            let slot = try #require(Int(try await server.ask("CLUSTER", "KEYSLOT", "\(target)")))
            #expect(slot % Partitioning.clusterCount == partition.index, "\(target)")
            // The function refuses all but one.
            let answer = try await ClusterBench.answer(client, ClusterBench.publish(target))
            #expect(!answer.contains("SLUICE"), "\(answer)")
            seen.insert(partition)
        }
        #expect(seen.count == Partitioning.clusterCount)
    }

    @Test("fewer keys, others, other tags and none are refused, and leave nothing behind", .timeLimit(.minutes(1)))
    func refusals() async throws {
        let bench = try await ClusterBench()
        let (log, last, clock) = ("sluice:{700}:topic:news", "sluice:{700}:last:topic:news", "sluice:{700}:clock")
        let once = "sluice:{700}:once:topic:news t"
        let declared = "SLUICE sluice_publish takes these keys in a cluster: \(log), \(last), \(clock)"
        let publishes: [([String], String)] = [
            ([log], declared), ([log, last], declared), ([log, clock, last], declared),
            ([last, log, clock], "SLUICE bad key"),
            ([log, last, clock, once], declared), ([log, last, "sluice:{700}:other"], declared),
            (["sluice:topic:news"], "SLUICE bad key \"sluice:topic:news\": in a cluster it is \(log)"),
            (["sluice:all"], "SLUICE bad key \"sluice:all\": in a cluster it is sluice:{"),
            (["sluice:{0700}:topic:news"], "SLUICE bad key \"sluice:{0700}:topic:news\": in a cluster it is \(log)"),
            (["sluice:{0}:topic:news", "sluice:{0}:last:topic:news", "sluice:{0}:clock"], "SLUICE bad key"),
            (["sluice:{14}:topic:news"], "SLUICE bad key"), (["sluice:{}:topic:news"], "SLUICE bad key"),
            (["sluice:{x}:topic:news"], "SLUICE bad key"), (["sl{700}uice:topic:news"], "SLUICE bad key"),
            (["sluice:{700}{700}:topic:news"], "SLUICE bad key"), (["{700}:topic:news"], "SLUICE bad key"),
            (["x{1}:{700}:topic:news", "x{1}:{700}:last:topic:news", "x{1}:{700}:clock"], "SLUICE bad key"),
            (["sluice:{700}:last:{700}:topic:news"], "SLUICE bad key"), (["sluice:topic:{700}"], "SLUICE bad key"),
        ]
        for (keys, refusal) in publishes {
            let client = try await Client(try await bench.cluster.master(of: keys[0]).endpoint())
            for options in [[], ["log", "0"]] {
                let words = ["FCALL", "sluice_publish", "\(keys.count)"] + keys + ["x"] + options
                let answer = try await ClusterBench.answer(client, words)
                #expect(answer.hasPrefix(refusal), "\(keys): \(answer)")
            }
        }
        let client = try await bench.client(try SluiceClusterTests.news())
        let withOnce = ["FCALL", "sluice_publish", "3", log, last, clock, "x", "once", "t"]
        #expect(try await ClusterBench.answer(client, withOnce) == "\(declared), \(once)")
        let otherToken = ["FCALL", "sluice_publish", "4", log, last, clock, once, "x", "once", "other"]
        #expect(
            try await ClusterBench.answer(client, otherToken).hasPrefix(
                "\(declared), sluice:{700}:once:topic:news other"))
        let ticks = [
            ["sluice:node:a"], ["sluice:{700}:node:a"], ["sluice:{700}:node:a", "sluice:{700}:other"],
            ["sluice:{7}:node:a", "sluice:{7}:clock"], ["sluice:{800}:node:a", "sluice:{800}:clock"],
            ["sluice:{050}:node:a", "sluice:{050}:clock"],
        ]
        for keys in ticks {
            let client = try await Client(try await bench.cluster.master(of: keys[0]).endpoint())
            let answer = try await ClusterBench.answer(
                client, ["FCALL", "sluice_tick", "\(keys.count)"] + keys + ["0-0"])
            #expect(answer.hasPrefix("SLUICE "), "\(keys): \(answer)")
        }
        #expect(try await bench.keyCount() == 0)
    }

    @Test("names with a tag are refused by a server that is no cluster")
    func lone() async throws {
        let bench = try await FunctionBench()
        for words in [
            ClusterBench.publish(try SluiceClusterTests.news()),
            ["FCALL", "sluice_publish", "1", "sluice:{700}:topic:news", "x"],
            ["FCALL", "sluice_tick", "2", "sluice:{700}:node:a", "sluice:{700}:clock", "0-0"],
        ] {
            let refusal = await bench.refusal(nil, words)
            #expect(refusal?.contains("only a cluster has partitions") == true, "\(refusal ?? "taken")")
        }
        #expect(try await bench.integer("DBSIZE") == 0)
    }

    @Test(
        "while a slot moves a publish is put off or sent on, and no second clock begins: ids go on",
        .timeLimit(.minutes(1)))
    func slotMoves() async throws {
        let bench = try await ClusterBench()
        let news = try SluiceClusterTests.news()
        let slot = try await bench.cluster.slot(of: "{700}")
        let source = try await bench.cluster.master(ofSlot: slot)
        let target = try #require(try await bench.cluster.masters().first { $0 !== source })
        let (here, there) = (try await Client(try source.endpoint()), try await Client(try target.endpoint()))
        let publish = ClusterBench.publish(news)
        func asking() async throws -> String {
            let replies = try await RedisClient(target).pipeline(
                [["ASKING"], publish].map { $0.map { Array($0.utf8) } })
            return replies[1]
        }
        // A clock that no other can be mistaken for.
        let tick = ["FCALL", "sluice_tick", "2", "sluice:{700}:node:n", "sluice:{700}:clock", "99999999999999-0"]
        _ = try await here.send(RESPCommand(tick))
        #expect(
            try ClusterBench.receipt(try await here.send(RESPCommand(publish))).id == EventID(99_999_999_999_999, 1))

        let move = SlotMove(slot: slot, from: source, to: target)
        try await move.begin()
        #expect(
            try ClusterBench.receipt(try await here.send(RESPCommand(publish))).id == EventID(99_999_999_999_999, 2))
        #expect(try await asking().hasPrefix("-TRYAGAIN"))
        try await move.moveKeys(["sluice:{700}:clock"])
        #expect(try await ClusterBench.answer(here, publish).hasPrefix("TRYAGAIN"))
        #expect(try await asking().hasPrefix("-TRYAGAIN"))
        try await move.moveKeys()
        #expect(try await ClusterBench.answer(here, publish) == "ASK \(slot) 127.0.0.1:\(target.port)")
        // Another process goes on, whose ids are marked.
        #expect(try await asking().hasPrefix("99999999999999-"))
        try await move.finish()
        #expect(try await ClusterBench.answer(here, publish) == "MOVED \(slot) 127.0.0.1:\(target.port)")
        let last = try ClusterBench.receipt(try await there.send(RESPCommand(publish))).id
        let entries = try await there.send("XRANGE", "sluice:{700}:topic:news", "-", "+").array
        let ids = try #require(entries).compactMap { $0.array?.first?.string.flatMap { EventID($0) } }
        #expect(ids.map(\.milliseconds) == Array(repeating: 99_999_999_999_999, count: 4))
        #expect(ids.prefix(2).map(\.sequence) == [1, 2] && ids[2] > ids[1] && ids[3] > ids[2] && ids[3] == last)
    }

    @Test(
        "a replica that is promoted goes on where the master was, and refuses what the master refused",
        .timeLimit(.minutes(1)))
    func promoted() async throws {
        let bench = try await ClusterBench(masters: 3, replicas: 1)
        let news = try SluiceClusterTests.news()
        let master = try await bench.cluster.master(of: "{700}")
        let tick = ["FCALL", "sluice_tick", "2", "sluice:{700}:node:n", "sluice:{700}:clock", "99999999999999-0"]
        let client = try await bench.client(news)
        _ = try await client.send(RESPCommand(tick))
        _ = try await client.send(RESPCommand(ClusterBench.publish(news)))
        #expect(try await client.send("WAIT", "1", "10000") == .integer(1))

        let promoted = try await bench.cluster.kill(master)
        let successor = try await Client(try promoted.endpoint())
        // Nothing was installed there by anybody: the function came with the data, what the library's variables held did not.
        #expect(
            try await ClusterBench.answer(successor, ["FCALL", "sluice_publish", "1", "sluice:{700}:topic:news", "x"])
                .contains("takes these keys"))
        let next = try ClusterBench.receipt(try await successor.send(RESPCommand(ClusterBench.publish(news))))
        let id = try #require(next.id)
        #expect(id.milliseconds == 99_999_999_999_999 && id.sequence > 1)
        let untagged = try await Client(try await bench.cluster.master(of: "sluice:topic:news").endpoint())
        #expect(
            try await ClusterBench.answer(
                untagged, ["FCALL", "sluice_publish", "1", "sluice:topic:news", "x", "log", "0"]
            )
            .contains("in a cluster it is sluice:{700}:topic:news"))
    }
}
