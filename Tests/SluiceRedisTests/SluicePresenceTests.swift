// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import SluiceRedis
import TestSupport
import Testing

@Suite("FCALL sluice_presence")
struct SluicePresenceTests {
    private static let names = RedisNames(prefix: "sluice")
    private let bench: FunctionBench

    init() async throws {
        bench = try await FunctionBench()
    }

    private func carryOut(_ call: PresenceCall, _ node: String) async throws -> PresenceReply {
        let reply = try await bench.client.send(
            SluiceFunction.presence(call, node: node, kept: 10_000, names: SluicePresenceTests.names))
        return try #require(PresenceReply(reply, to: call))
    }

    private func tell(_ node: String, _ state: Int, _ changes: String...) async throws -> PresenceReply {
        let changes = try changes.map { text in
            let words = text.dropFirst().split(separator: " ")
            let word = words.count > 1 ? words[1] : "*"
            let period = word.drop { "?*".contains($0) }
            let kind: PresenceCall.Change.Kind =
                switch text.first {
                case "+": .came(period: String(period))
                case "=": .stays(period: String(period))
                default:
                    word.contains("*")
                        ? .left(period: period.isEmpty ? nil : String(period))
                        : .ended(period: String(period), dead: words.count > 2 ? String(words[2]) : nil)
                }
            return PresenceCall.Change(try .client(words[0]), kind, isCareful: word.hasPrefix("?"))
        }
        return try await carryOut(
            .tell(state: state == 0 ? nil : "s\(state)", newState: "s\(state + 1)", changes), node)
    }

    private var log: [String] {
        get async throws {
            try await bench.entries("sluice:presence").map {
                "\($0.fields["state"] ?? "") \($0.fields["client"] ?? "") \($0.fields["node"] ?? "") \($0.fields["event"] ?? "")"
            }
        }
    }

    private func setRecords(_ text: String) async throws {
        _ = try await bench.client.send("HSET", "sluice:online", " nodes", text)
    }

    private var now: Int64 {
        get async throws {
            let parts = try #require(try await bench.client.send("TIME").array).compactMap(\.string)
            return try #require(Int64(parts[0])) * 1000
        }
    }

    @Test("the first node of a client begins its period, and the last one ends it")
    func periods() async throws {
        #expect(try await tell("a", 0) == .joined(dead: [], state: ""))
        #expect(try await tell("b", 0) == .joined(dead: [], state: ""))
        #expect(try await tell("a", 1, "+ann p1", "+bob p2") == .told(dead: [], periods: ["p1", "p2"]))
        #expect(try await tell("b", 1, "+ann p3") == .told(dead: [], periods: ["p1"]))
        #expect(try await tell("a", 2, "-ann", "-bob", "-carol") == .told(dead: [], periods: ["", "p2", ""]))
        #expect(try await log == ["present ann a p1.present", "present bob a p2.present", "absent bob a p2.absent"])
        #expect(try await tell("b", 2, "-ann") == .told(dead: [], periods: ["p1"]))
        #expect(try await log.last == "absent ann b p1.absent")
        #expect(try await bench.integer("HLEN", "sluice:online") == 1)
        let entry = try #require(try await bench.entries("sluice:presence").first)
        #expect(Int64(entry.fields["at"] ?? "").map { $0 / 1000 } == Int64(entry.id.milliseconds / 1000))
    }

    @Test("to tell the same again changes nothing, and what was forgotten is told again with the same event")
    func again() async throws {
        _ = try await tell("a", 0)
        _ = try await tell("a", 1, "+ann p1")
        #expect(try await tell("a", 2, "+ann p9") == .told(dead: [], periods: ["p1"]))
        // Another period's end; and one that was forgotten, while a node has gone on in it: that is in another one then.
        _ = try await tell("b", 0)
        #expect(try await tell("a", 3, "-ann p0") == .told(dead: [], periods: [""]))
        #expect(try await tell("b", 1, "-ann p1") == .told(dead: [], periods: ["p1"]))
        #expect(try await log == ["present ann a p1.present", "absent ann b p1.absent", "present ann a p1'.present"])
        _ = try await bench.client.send("FLUSHALL")
        #expect(try await tell("a", 4, "+ann p1") == .lost)
        #expect(try await tell("a", 0) == .joined(dead: [], state: ""))
        #expect(try await tell("a", 1, "+ann p1", "-bob p2") == .told(dead: [], periods: ["p1", "p2"]))
        #expect(try await log == ["present ann a p1.present", "absent bob a p2.absent"])
    }

    @Test("who steps off while nobody knows who else has the client ends no period")
    func stepsOff() async throws {
        for node in ["a", "b"] { _ = try await tell(node, 0) }
        _ = try await tell("a", 1, "+ann p1")
        _ = try await tell("b", 1, "+ann p2")
        #expect(try await tell("c", 0) == .joined(dead: [], state: ""))
        #expect(try await tell("c", 1, "-ann ?p1", "-ann ?p0") == .told(dead: [], periods: ["?", ""]))
        #expect(try await tell("a", 2, "-ann ?*", "-bob ?*") == .told(dead: [], periods: ["", ""]))
        #expect(try await tell("b", 2, "-ann ?*") == .told(dead: [], periods: ["?"]))
        #expect(try await tell("a", 3, "-ann ?*") == .told(dead: [], periods: [""]))
        #expect(try await bench.client.send("HMGET", "sluice:online", "ann").array?.first?.string == "p1 b")
        #expect(try await log == ["present ann a p1.present"])
        #expect(try await tell("b", 3, "-dave ?*p8", "-dave *p8") == .told(dead: [], periods: ["?", "p8"]))
        #expect(try await log.last == "absent dave b p8.absent")
    }

    @Test("of two periods of a client of which one was forgotten, the later one counts")
    func stays() async throws {
        for node in ["a", "b"] { _ = try await tell(node, 0) }
        _ = try await tell("a", 1, "+ann a-5-1")
        #expect(try await tell("b", 1, "=ann b-4-1", "=bob b-4-2") == .told(dead: [], periods: ["a-5-1", "b-4-2"]))
        #expect(try await tell("b", 2, "=ann b-6-1") == .told(dead: [], periods: ["b-6-1'"]))
        #expect(
            try await log == [
                "present ann a a-5-1.present", "present bob b b-4-2.present", "absent ann b a-5-1.absent",
                "present ann b b-6-1'.present",
            ])
        #expect(try await bench.client.send("HMGET", "sluice:online", "ann").array?.first?.string == "b-6-1' a b")
    }

    @Test("a period that has ended and was forgotten ends where nobody else is listed in it")
    func endsAgain() async throws {
        _ = try await tell("b", 0)
        _ = try await tell("b", 1, "+ann p1")
        #expect(try await tell("b", 2, "-ann ?p1", "-carol ?p7") == .told(dead: [], periods: ["p1", "p7"]))
        #expect(try await log.dropFirst() == ["absent ann b p1.absent", "absent carol b p7.absent"])
    }

    @Test("a period that had ended with a dead node ends again, unless that node is back or others have gone on in it")
    func endsWithTheDead() async throws {
        for node in ["a", "b"] { _ = try await tell(node, 0) }
        _ = try await tell("b", 1, "+ann p1", "+bob p2", "+cid p3")
        #expect(try await tell("a", 1, "-ann ?p1 b") == .told(dead: [], periods: ["?"]), "it was heard a moment ago")
        let now = try await now
        try await setRecords("a \(now + 9000) s2 b \(now + 5000) s2 c \(now + 9000) s1")
        _ = try await tell("c", 1, "+bob x")
        #expect(
            try await tell("a", 2, "-ann ?p1 b", "-bob ?p2 b", "-cid p9 b")
                == .told(dead: [], periods: ["p1", "?", ""]))
        #expect(try await tell("a", 3, "-bob p2 b") == .told(dead: [], periods: ["p2"]))
        #expect(
            try await log.dropFirst(3) == [
                "absent ann a p1.absent", "absent bob a p2.absent", "present bob c p2'.present",
            ])
    }

    @Test("a period that has ended ends although the dead are listed in it still, once there is no need to be careful")
    func endsBesideTheDead() async throws {
        for node in ["a", "b"] { _ = try await tell(node, 0) }
        _ = try await tell("b", 1, "+ann p1", "+bob p2")
        _ = try await tell("a", 1, "+ann x", "+bob x")
        let now = try await now
        try await setRecords("a \(now + 9000) s2 b \(now + 5000) gone c \(now + 9000) s1")
        _ = try await tell("c", 1, "+bob x")
        #expect(try await tell("a", 2, "-ann ?p1", "-bob ?p2") == .told(dead: [], periods: ["?", "?"]))
        #expect(try await tell("a", 3, "-ann p1", "-bob p2") == .told(dead: [], periods: ["p1", "p2"]))
        #expect(
            try await log.dropFirst(2) == [
                "absent ann a p1.absent", "absent bob a p2.absent", "present bob c p2'.present",
            ])
    }

    @Test("a node that says nothing is dead for the others, who take its clients off, in steps and once")
    func death() async throws {
        for node in ["a", "b"] { _ = try await tell(node, 0) }
        let changes = (0..<1200).map { "+c\($0) p\($0)" }
        for start in stride(from: 0, to: 1200, by: 200) {
            let call = PresenceCall.tell(
                state: "s\(start / 200 + 1)", newState: "s\(start / 200 + 2)",
                try changes[start..<start + 200].map { text in
                    let words = text.dropFirst().split(separator: " ")
                    return .init(try .client(words[0]), .came(period: String(words[1])))
                })
            _ = try await carryOut(call, "b")
        }
        _ = try await tell("a", 1, "+c7 x")
        let now = try await now
        try await setRecords("a \(now + 9000) s2 b \(now - 1000) s7")
        #expect(try await tell("a", 2) == .told(dead: ["b"], periods: []))
        // Another one is not asked to as well.
        #expect(try await tell("c", 0) == .joined(dead: [], state: ""))
        var cursor = "0"
        var steps = 0
        var count = 0
        repeat {
            guard case .cleaned(let next, let ended) = try await carryOut(.clean(node: "b", cursor: cursor), "a") else {
                return
            }
            cursor = next
            #expect(ended.allSatisfy { "c" + $0.name.dropFirst() == $0.client.name })
            count += ended.count
            steps += 1
        } while cursor != "0"
        #expect(steps > 1 && count == 1199)
        let absent = try await log.filter { $0.hasPrefix("absent") }
        #expect(absent.count == 1199 && Set(absent).count == 1199 && absent.allSatisfy { $0.contains(" b ") })
        #expect(try await carryOut(.sweep(cursor: "0"), "a") == .swept(cursor: "0", clients: [try .client("c7")]))
        // It comes back.
        #expect(try await tell("b", 7) == .lost)
        #expect(try await tell("b", 0) == .joined(dead: [], state: "done"))
        #expect(try await carryOut(.clean(node: "b", cursor: "0"), "a") == .cleaned(cursor: "0", ended: []))
    }

    @Test("after an outage of Redis nobody is taken for dead who had no time to say that it lives")
    func outage() async throws {
        for node in ["a", "b"] { _ = try await tell(node, 0) }
        let now = try await now
        try await setRecords("a \(now - 9000) s1 b \(now - 1000) s1")
        #expect(try await tell("a", 1) == .told(dead: [], periods: []))
        #expect(try await tell("b", 1) == .told(dead: [], periods: []))
    }

    @Test("what is not well-formed is refused, and so is a stream that is none; nothing is written then")
    func refusals() async throws {
        _ = try await bench.client.send("SET", "sluice:presence", "x")
        let before = try await bench.snapshot()
        for words in [
            ["2", "sluice:online", "sluice:presence", "10", "a", "*", "s1", "+", "ann", "p1"],
            ["2", "sluice:online", "other:presence", "10", "a", "*", "s1"],
            ["1", "sluice:online", "10", "a", "*", "s1"],
            ["2", "sluice:online", "sluice:presence", "0", "a", "*", "s1"],
            ["2", "sluice:online", "sluice:presence", "10", "a", "*"],
            ["2", "sluice:online", "sluice:presence", "10", "a b", "*", "s1"],
            ["2", "sluice:online", "sluice:presence", "10", "a", "*", "s1", "+", "ann"],
        ] {
            #expect(await bench.refusal(nil, ["FCALL", "sluice_presence"] + words) != nil, "\(words)")
        }
        #expect(try await bench.snapshot() == before)
    }
}
