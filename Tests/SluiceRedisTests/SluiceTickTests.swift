// SPDX-License-Identifier: Apache-2.0
import Foundation
import SluiceCore
import SluiceRedis
import TestSupport
import Testing

@Suite("FCALL sluice_tick")
struct SluiceTickTests {
    private static func tick(
        _ bench: FunctionBench, _ known: String, _ fields: String...
    ) async throws -> (EventID, String) {
        let reply = try await bench.client.send(
            RESPCommand(["FCALL", "sluice_tick", "1", "sluice:node:n1", known] + fields))
        let parts = try #require(reply.array).compactMap(\.string)
        #expect(parts.count == 2)
        return (try #require(EventID(parts[0])), parts[1])
    }

    @Test("a tick creates the clock, and a reading is never later than the next event's id")
    func createsClock() async throws {
        let bench = try await FunctionBench()
        let (reading, born) = try await SluiceTickTests.tick(bench, "0-0")
        #expect(reading.milliseconds > 1_700_000_000_000)
        #expect(born == "\(reading.milliseconds)")
        #expect(try await bench.text("HGET", "sluice:clock", "last") == "\(reading)")
        #expect(try await bench.text("HGET", "sluice:clock", "born") == born)
        let id = try #require(try await bench.publish("sluice:topic:a").id)
        #expect(id > reading)
        let (later, bornLater) = try await SluiceTickTests.tick(bench, "0-0")
        #expect(later >= id)
        #expect(bornLater == born)
    }

    @Test("the reply has the server's own time, which what a node remembers does not push")
    func serverTime() async throws {
        let bench = try await FunctionBench()
        let before = UInt64(Date().timeIntervalSince1970 * 1000)
        let reply = try await bench.client.send("FCALL", "sluice_tick", "1", "sluice:node:n1", "99999999999999-7")
        guard case .integer(let time) = reply.array?.last else {
            Issue.record("\(reply)")
            return
        }
        #expect(UInt64(time) >= before - 1 && UInt64(time) <= before + 60_000)
    }

    @Test("a sequence that is used up ends in the next millisecond: no id has a number of more than 15 digits")
    func lastSequence() async throws {
        let bench = try await FunctionBench()
        _ = try await SluiceTickTests.tick(bench, "99999999999999-999999999999999")
        #expect(try await bench.publish("sluice:topic:a").id == EventID(100_000_000_000_000, 0))
        _ = try await SluiceTickTests.tick(bench, "999999999999999-999999999999999")
        let before = try await bench.text("HGET", "sluice:clock", "last")
        let refusal = await bench.refusal(nil, ["FCALL", "sluice_publish", "1", "sluice:topic:a", "x"])
        #expect(refusal?.hasPrefix("ERR the clock") == true)
        #expect(try await bench.text("HGET", "sluice:clock", "last") == before)
    }

    @Test("a tick raises the clock to what the node remembers, never lowers it")
    func raisesClock() async throws {
        let bench = try await FunctionBench()
        let (raised, _) = try await SluiceTickTests.tick(bench, "99999999999999-7")
        #expect(raised == EventID(99_999_999_999_999, 7))
        #expect(try await bench.publish("sluice:topic:a").id == EventID(99_999_999_999_999, 8))
        let (kept, _) = try await SluiceTickTests.tick(bench, "5-0")
        #expect(kept == EventID(99_999_999_999_999, 8))
    }

    @Test("the reading arrives on the node's own channel, behind every earlier event")
    func publishesReading() async throws {
        let bench = try await FunctionBench()
        let feed = try await FeedProbe(try bench.server.endpoint())
        #expect(try await feed.listen(to: "sluice:node:n1"))
        #expect(try await feed.listen(to: "sluice:topic:a"))
        for _ in 0..<20 { try await bench.publish("sluice:topic:a") }
        let (reading, born) = try await SluiceTickTests.tick(bench, "0-0")
        #expect(await eventually { feed.messages.count == 21 })
        #expect(feed.messages.last == Array("tick \(reading) \(born)".utf8))
        try await feed.stop()
    }

    @Test("the fields become the node's registry entry, which is gone without a further tick")
    func registry() async throws {
        let bench = try await FunctionBench()
        _ = try await SluiceTickTests.tick(bench, "0-0")
        #expect(try await bench.integer("EXISTS", "sluice:node:n1") == 0)
        _ = try await SluiceTickTests.tick(bench, "0-0", "streams", "5", "version", "1.0")
        #expect(try await bench.text("HGET", "sluice:node:n1", "streams") == "5")
        #expect(try await bench.text("HGET", "sluice:node:n1", "version") == "1.0")
        let life = try #require(try await bench.integer("PTTL", "sluice:node:n1"))
        #expect(life > 0 && life <= 15_000)
    }

    @Test("nodes with an entry are in the list until they leave or say nothing for 15 s")
    func list() async throws {
        let bench = try await FunctionBench()
        _ = try await bench.client.send("SET", "sluice:nodes", "old 1000 n1 1000 later 99999999999999")
        _ = try await SluiceTickTests.tick(bench, "0-0", "streams", "5")
        let reply = try await bench.client.send(Registry.list(RedisNames(prefix: "sluice")))
        #expect(Registry.nodes(reply: reply) == ["later", "n1"])
        let words = try #require(reply.string).split(separator: " ")
        let reading = try await SluiceTickTests.tick(bench, "0-0").0
        #expect(abs((Int64(words[3]) ?? 0) - Int64(reading.milliseconds) - 15_000) < 5000)
        _ = try await bench.client.send(
            SluiceFunction.leave(node: "n1", names: RedisNames(prefix: "sluice")))
        #expect(try await bench.text("GET", "sluice:nodes") == "later 99999999999999")
        #expect(try await bench.integer("EXISTS", "sluice:node:n1") == 0)
        // What is no list is made one.
        _ = try await bench.client.send("DEL", "sluice:nodes")
        _ = try await bench.client.send("HSET", "sluice:nodes", "a", "b")
        _ = try await SluiceTickTests.tick(bench, "0-0", "streams", "5")
        #expect(try await bench.text("GET", "sluice:nodes")?.hasPrefix("n1 ") == true)
    }
}
