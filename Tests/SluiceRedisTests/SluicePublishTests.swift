// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import SluiceRedis
import TestSupport
import Testing

@Suite("FCALL sluice_publish")
struct SluicePublishTests {
    private static let topic = "sluice:topic:news"

    private static func decode(_ payload: [UInt8]) throws -> (envelope: Envelope, data: String) {
        var envelope = try payload.withUnsafeBytes { try Envelope(decoding: $0) }
        let data = String(decoding: payload[envelope.dataOffset...], as: UTF8.self)
        envelope.dataOffset = 0
        return (envelope, data)
    }

    @Test("one step writes the log, the marker and the clock, and publishes the envelope of the same event")
    func everythingAtOnce() async throws {
        let bench = try await FunctionBench()
        let feed = try await FeedProbe(try bench.server.endpoint())
        #expect(try await feed.listen(to: SluicePublishTests.topic))
        let first = try await bench.publish(SluicePublishTests.topic, "one")
        let second = try await bench.publish(
            SluicePublishTests.topic, "two\n\u{1E}", "event", "price", "key", "eur", "end", "1")
        let firstID = try #require(first.id)
        let secondID = try #require(second.id)
        #expect(first.nodes == 1 && second.nodes == 1)
        #expect(secondID > firstID)
        #expect(
            try await bench.entries(SluicePublishTests.topic) == [
                .init(id: firstID, fields: ["p": "-", "d": "one"]),
                .init(
                    id: secondID, fields: ["p": "\(firstID)", "d": "two\n\u{1E}", "e": "price", "k": "eur", "end": "1"]),
            ])
        #expect(try await bench.text("GET", "sluice:last:topic:news") == "\(secondID) end")
        #expect(try await bench.text("HGET", "sluice:clock", "last") == "\(secondID)")
        #expect(await eventually { feed.messages.count == 2 })
        let (envelope, data) = try SluicePublishTests.decode(feed.messages[1])
        #expect(data == "two\n\u{1E}")
        #expect(envelope == Envelope(id: secondID, previous: firstID, type: "price", key: "eur", ends: true))
        #expect(try SluicePublishTests.decode(feed.messages[0]).envelope == Envelope(id: firstID))
        try await feed.stop()
    }

    @Test("a traceparent travels in the envelope, and one that is malformed is as none")
    func trace() async throws {
        let bench = try await FunctionBench()
        let feed = try await FeedProbe(try bench.server.endpoint())
        #expect(try await feed.listen(to: SluicePublishTests.topic))
        for text in TraceParents.good.map(\.text) + TraceParents.malformed {
            _ = try await bench.publish(SluicePublishTests.topic, "x", "trace", text, "key", "k")
        }
        let count = TraceParents.good.count + TraceParents.malformed.count
        #expect(await eventually { feed.messages.count == count })
        let envelopes = try feed.messages.map { try SluicePublishTests.decode($0).envelope }
        #expect(envelopes.allSatisfy { $0.key == "k" })
        let passedOn: [String?] = TraceParents.good.map { String($0.text.prefix(55)) }
        #expect(envelopes.map { $0.trace?.description } == passedOn + TraceParents.malformed.map { _ in nil })
        _ = try await bench.publish(SluicePublishTests.topic, "x", "log", "0", "trace", TraceParents.sampled)
        #expect(await eventually { feed.messages.count == count + 1 })
        #expect(try SluicePublishTests.decode(feed.messages[count]).envelope.trace?.isSampled == true)
        try await feed.stop()
    }

    @Test("the reply counts the nodes that heard it")
    func nodes() async throws {
        let bench = try await FunctionBench()
        #expect(try await bench.publish(SluicePublishTests.topic).nodes == 0)
        let feeds = [
            try await FeedProbe(try bench.server.endpoint()), try await FeedProbe(try bench.server.endpoint()),
        ]
        for feed in feeds { #expect(try await feed.listen(to: SluicePublishTests.topic)) }
        #expect(try await bench.publish(SluicePublishTests.topic).nodes == 2)
        #expect(try await bench.publish(SluicePublishTests.topic, "x", "log", "0").nodes == 2)
        for feed in feeds { try await feed.stop() }
    }

    @Test("ids strictly increase over topics, clients and everyone, and each log has its own chain")
    func idsAndChains() async throws {
        let bench = try await FunctionBench()
        let keys = ["sluice:topic:a", "sluice:topic:b", "sluice:client:a", "sluice:all"]
        var generator = SeededGenerator(seed: 1)
        let chosen = (0..<300).compactMap { _ in keys.randomElement(using: &generator) }
        let replies = try await bench.client.pipeline(
            chosen.map { RESPCommand(["FCALL", "sluice_publish", "1", $0, "x"]) })
        let ids = try replies.map { try #require($0.array?.first?.string.flatMap { EventID($0) }) }
        #expect(zip(ids, ids.dropFirst()).allSatisfy { $0 < $1 })
        for key in keys {
            let own = zip(chosen, ids).filter { $0.0 == key }.map(\.1)
            let entries = try await bench.entries(key)
            #expect(entries.map(\.id) == own)
            #expect(entries.map { $0.fields["p"] } == ["-"] + own.dropLast().map(\.description))
        }
        #expect(try await bench.text("HGET", "sluice:clock", "last") == ids.last?.description)
    }

    @Test("an id is never behind the clock, even if the time is: the sequence is raised")
    func clockAhead() async throws {
        let bench = try await FunctionBench()
        _ = try await bench.client.send("HSET", "sluice:clock", "last", "99999999999999-7", "born", "5")
        #expect(try await bench.publish("sluice:topic:a").id == EventID(99_999_999_999_999, 8))
        #expect(try await bench.publish("sluice:topic:b").id == EventID(99_999_999_999_999, 9))
        #expect(try await bench.text("HGET", "sluice:clock", "born") == "5")
    }

    @Test("a clock that was deleted does not give out ids that the log has passed")
    func clockDeleted() async throws {
        let bench = try await FunctionBench()
        _ = try await bench.client.send("HSET", "sluice:clock", "last", "99999999999999-7")
        let before = try #require(try await bench.publish("sluice:topic:a").id)
        #expect(try await bench.integer("DEL", "sluice:clock") == 1)
        let after = try await bench.publish("sluice:topic:a")
        #expect(after.id == EventID(before.milliseconds, before.sequence + 1))
        #expect(try await bench.entries("sluice:topic:a").last?.fields["p"] == before.description)
    }

    @Test("a clock that begins says when, and keeps it")
    func born() async throws {
        let bench = try await FunctionBench()
        let first = try #require(try await bench.publish("sluice:topic:a").id)
        #expect(try await bench.text("HGET", "sluice:clock", "born") == "\(first.milliseconds)")
        try await bench.publish("sluice:topic:a")
        #expect(try await bench.text("HGET", "sluice:clock", "born") == "\(first.milliseconds)")
    }

    @Test(
        "clock, marker and token take the prefix of the key",
        arguments: ["app", "a.b:c", "x:", "topic", "client:y", "all", "node:topic"])
    func prefixes(_ prefix: String) async throws {
        let bench = try await FunctionBench()
        // As the prefix ends at the first ":topic:" or ":client:", some can't be used; RedisNames refuses those.
        guard RedisNames.problem(prefix: prefix) == nil else { return }
        let names = RedisNames(prefix: prefix)
        for target in [try Target.topic("t:topic:u"), try Target.client("c"), .all] {
            let id = try #require(try await bench.publish(names.channel(target), "x", "once", "token").id)
            #expect(try await bench.text("GET", names.marker(target)) == "\(id)")
            #expect(try await bench.text("HGET", names.clock(.first), "last") == "\(id)")
        }
        #expect(try await bench.snapshot().keys.allSatisfy { $0.hasPrefix(prefix + ":") })
    }

    // MARK: Lives

    @Test("the log keeps as many as maxlen says, the newest")
    func maxlen() async throws {
        let bench = try await FunctionBench()
        for number in 0..<8 { try await bench.publish("sluice:topic:a", "\(number)", "maxlen", "3") }
        #expect(try await bench.entries("sluice:topic:a").map { $0.fields["d"] } == ["5", "6", "7"])
        try await bench.publish("sluice:topic:a", "8")
        #expect(try await bench.integer("XLEN", "sluice:topic:a") == 4)
        try await bench.publish("sluice:topic:a", "9", "maxlen", "1")
        #expect(try await bench.entries("sluice:topic:a").map { $0.fields["d"] } == ["9"])
    }

    @Test("without options the log keeps a thousand")
    func defaultMaxlen() async throws {
        let bench = try await FunctionBench()
        _ = try await bench.client.pipeline(
            (0..<1005).map { RESPCommand(["FCALL", "sluice_publish", "1", "sluice:topic:a", "\($0)"]) })
        #expect(try await bench.integer("XLEN", "sluice:topic:a") == 1000)
    }

    @Test(
        "the log lives for its ttl from its newest event, the marker for a day or twice as long",
        arguments: [
            (nil, 3600, 86_400), ("60", 60, 86_400), ("43200", 43_200, 86_400), ("50000", 50_000, 100_000),
            ("604800", 604_800, 1_209_600),
        ] as [(String?, Int64, Int64)])
    func lives(_ ttl: String?, _ log: Int64, _ marker: Int64) async throws {
        let bench = try await FunctionBench()
        let options = ttl.map { ["ttl", $0] } ?? []
        let command = RESPCommand(["FCALL", "sluice_publish", "1", "sluice:topic:a", "x"] + options)
        _ = try await bench.client.send(command)
        let logEnd = try #require(try await bench.integer("PEXPIRETIME", "sluice:topic:a"))
        let markerEnd = try #require(try await bench.integer("PEXPIRETIME", "sluice:last:topic:a"))
        let now = try #require(try await bench.entries("sluice:topic:a").first?.id.milliseconds)
        // The id is the time of the publish; between it and the two lives a busy machine may take a moment.
        let slack: UInt64 = 30_000
        #expect((logEnd - Int64(now) - log * 1000).magnitude < slack)
        #expect((markerEnd - Int64(now) - marker * 1000).magnitude < slack)
    }

    @Test("a publish with a shorter ttl shortens neither the log's life nor its marker's; a longer one lengthens both")
    func neverShortens() async throws {
        let bench = try await FunctionBench()
        try await bench.publish("sluice:topic:a", "x", "ttl", "500000")
        let log = try #require(try await bench.integer("PEXPIRETIME", "sluice:topic:a"))
        let marker = try #require(try await bench.integer("PEXPIRETIME", "sluice:last:topic:a"))
        try await bench.publish("sluice:topic:a", "x", "ttl", "1")
        #expect(try await bench.integer("PEXPIRETIME", "sluice:topic:a") == log)
        let markerAfter = try #require(try await bench.integer("PEXPIRETIME", "sluice:last:topic:a"))
        #expect((markerAfter - marker).magnitude < 60_000)
        try await bench.publish("sluice:topic:a", "x", "ttl", "600000")
        #expect(try #require(try await bench.integer("PEXPIRETIME", "sluice:topic:a")) > log + 90_000_000)
    }

    @Test("the chain survives the trimming and the loss of the log")
    func chainOutlivesLog() async throws {
        let bench = try await FunctionBench()
        let first = try #require(try await bench.publish("sluice:topic:a", "x", "maxlen", "1").id)
        let second = try #require(try await bench.publish("sluice:topic:a", "x", "maxlen", "1").id)
        #expect(try await bench.entries("sluice:topic:a").map { $0.fields["p"] } == ["\(first)"])
        #expect(try await bench.integer("DEL", "sluice:topic:a") == 1)
        try await bench.publish("sluice:topic:a")
        #expect(try await bench.entries("sluice:topic:a").map { $0.fields["p"] } == ["\(second)"])
    }

    // MARK: Options

    @Test("a publish after the end opens the topic again, and its chain goes on")
    func reopens() async throws {
        let bench = try await FunctionBench()
        let end = try #require(try await bench.publish("sluice:topic:a", "bye", "end", "1").id)
        #expect(try await bench.text("GET", "sluice:last:topic:a") == "\(end) end")
        let next = try #require(try await bench.publish("sluice:topic:a", "again", "end", "0").id)
        #expect(try await bench.text("GET", "sluice:last:topic:a") == "\(next)")
        let entries = try await bench.entries("sluice:topic:a")
        #expect(entries.map { $0.fields["end"] } == ["1", nil])
        #expect(entries.last?.fields["p"] == "\(end)")
    }

    @Test("an event without the log has no id, keeps its type and key, and writes nothing")
    func liveOnly() async throws {
        let bench = try await FunctionBench()
        try await bench.publish("sluice:topic:a")
        let feed = try await FeedProbe(try bench.server.endpoint())
        #expect(try await feed.listen(to: "sluice:topic:a"))
        let before = try await bench.snapshot()
        let receipt = try await bench.publish("sluice:topic:a", "now", "log", "0", "event", "price", "key", "k")
        #expect(receipt == .init(id: nil, nodes: 1))
        #expect(try await bench.snapshot() == before)
        #expect(await eventually { feed.messages.count == 1 })
        let (envelope, data) = try SluicePublishTests.decode(feed.messages[0])
        #expect(envelope == Envelope(type: "price", key: "k"))
        #expect(data == "now")
        try await feed.stop()
    }

    @Test(
        "a token publishes once for its key, and answers the first result again",
        arguments: [["log", "1"], ["log", "0"]])
    func once(_ log: [String]) async throws {
        let bench = try await FunctionBench()
        let feed = try await FeedProbe(try bench.server.endpoint())
        #expect(try await feed.listen(to: "sluice:topic:a"))
        func publish(_ key: String, _ token: String) async throws -> FunctionBench.Receipt {
            try await bench.publish(key, "x", "once", token, log[0], log[1])
        }
        let first = try await publish("sluice:topic:a", "t k")
        let life = try #require(try await bench.integer("PTTL", "sluice:once:topic:a t k"))
        #expect(life > 0 && life <= 300_000)
        let before = try await bench.snapshot()
        #expect(try await publish("sluice:topic:a", "t k") == first)
        #expect(try await bench.snapshot() == before)
        #expect(try await publish("sluice:topic:b", "t k").nodes == 0)
        // Nobody uses another topic's token up: these two make the same text.
        _ = try await (publish("sluice:topic:b:c", "d"), publish("sluice:topic:b", "c:d"))
        #expect(try await bench.integer("EXISTS", "sluice:once:topic:b:c d", "sluice:once:topic:b c:d") == 2)
        #expect(try await publish("sluice:topic:a", "another").nodes == 1)
        #expect(await eventually { feed.messages.count >= 2 })
        #expect(feed.messages.count == 2)
        try await feed.stop()
    }

    @Test(
        "data of any bytes goes into the log and the envelope as it is, up to a megabyte", arguments: [0, 1, 1_048_576])
    func data(_ length: Int) async throws {
        let bench = try await FunctionBench()
        let feed = try await FeedProbe(try bench.server.endpoint())
        #expect(try await feed.listen(to: "sluice:all"))
        let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 / 256) }
        var command = RESPCommand(["FCALL", "sluice_publish", "1", "sluice:all"])
        command.words.append(.init(bytes: bytes))
        _ = try await bench.client.send(command)
        let logged = try await bench.client.send("XRANGE", "sluice:all", "-", "+").array?.first?.array?.last?.array?
            .last
        #expect(logged == .bulk(.init(bytes: bytes)))
        #expect(await eventually { feed.messages.count == 1 })
        #expect(Array(feed.messages[0].suffix(length)) == bytes)
        try await feed.stop()
    }
}
