// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import SluiceRedis
import TestSupport
import Testing

@Suite("FCALL sluice_read")
struct SluiceReadTests {
    private struct Log {
        let problem: String
        let marker: String
        let upTo: String
        let isLast: Bool
        let ids: [String]
    }

    /// - Parameter logs: a topic, the id behind which to read, and the budget of bytes.
    private static func read(
        _ bench: FunctionBench, bytes: Int, _ logs: [(topic: String, after: String, bytes: Int)]
    ) async throws -> [Log] {
        var words = ["FCALL", "sluice_read", "\(logs.count * 2)"]
        for log in logs { words += ["sluice:topic:\(log.topic)", "sluice:last:topic:\(log.topic)"] }
        words.append("\(bytes)")
        for log in logs { words += [log.after, "\(log.bytes)"] }
        let reply = try await bench.client.send(RESPCommand(words))
        return try #require(reply.array).map { value in
            let parts = try #require(value.array)
            try #require(parts.count == 5)
            return Log(
                problem: parts[0].string ?? "?", marker: parts[1].string ?? "?", upTo: parts[2].string ?? "?",
                isLast: parts[3] == .integer(1),
                ids: (parts[4].array ?? []).compactMap { $0.array?.first?.string })
        }
    }

    private static func fill(_ bench: FunctionBench, _ topic: String, _ count: Int, bytes: Int) async throws -> [String]
    {
        var ids: [String] = []
        for _ in 0..<count {
            let data = String(repeating: "x", count: bytes)
            ids.append("\(try #require(try await bench.publish("sluice:topic:\(topic)", data).id))")
        }
        return ids
    }

    @Test("of a log come the entries behind an id, with the marker, and whether that was all")
    func reads() async throws {
        let bench = try await FunctionBench()
        let ids = try await Self.fill(bench, "a", 40, bytes: 10)
        let logs = try await Self.read(
            bench, bytes: 1 << 20, [("a", ids[4], 1 << 20), ("nothing", "0-0", 1000), ("a", ids[39], 1000)])
        #expect(logs.map(\.ids) == [Array(ids[5...]), [], []])
        #expect(logs.map(\.isLast) == [true, true, true] && logs.map(\.problem) == ["", "", ""])
        #expect(logs.map(\.marker) == [ids[39], "", ids[39]])
        #expect(logs[0].upTo == ids[39] && logs[1].upTo == "0-0")
    }

    @Test("a log has no more than its own budget, but at least one entry; all together have no more than theirs")
    func budgets() async throws {
        let bench = try await FunctionBench()
        let a = try await Self.fill(bench, "a", 5, bytes: 10_000)
        let b = try await Self.fill(bench, "b", 5, bytes: 10_000)
        let logs = try await Self.read(
            bench, bytes: 20_000, [("a", "0-0", 1), ("b", "0-0", 100_000), ("a", a[0], 100_000)])
        #expect(logs.count == 2, "for the third there was no room")
        #expect(logs[0].ids == [a[0]] && !logs[0].isLast && logs[0].upTo == a[0])
        #expect(logs[1].ids == [b[0]] && !logs[1].isLast)
    }

    @Test("an entry that no publish could have written is left out, however the log got it; the others come")
    func oversized() async throws {
        let bench = try await FunctionBench()
        let first = try await Self.fill(bench, "a", 1, bytes: 10)
        _ = try await bench.text("XADD", "sluice:topic:a", "*", "d", String(repeating: "x", count: 3 << 20))
        let last = try await Self.fill(bench, "a", 1, bytes: 10)
        let logs = try await Self.read(bench, bytes: 1 << 20, [("a", "0-0", 1 << 20)])
        #expect(logs.map(\.ids) == [first + last] && logs[0].isLast && logs[0].upTo == last[0])
    }

    @Test("a key of another type has a problem, which is not the others'")
    func wrongType() async throws {
        let bench = try await FunctionBench()
        let ids = try await Self.fill(bench, "a", 1, bytes: 1)
        _ = try await bench.text("SET", "sluice:topic:bad", "x")
        let logs = try await Self.read(bench, bytes: 1000, [("bad", "0-0", 1000), ("a", "0-0", 1000)])
        #expect(logs[0].problem.hasPrefix("WRONGTYPE") && logs[0].ids.isEmpty && logs[1].ids == ids)
    }

    @Test(
        "what can't be understood is refused",
        arguments: [
            ["0", "1000"], ["1", "sluice:topic:a", "1000", "0-0", "10"], ["2", "a", "b", "x", "0-0", "10"],
            ["2", "a", "b", "1000", "0-0"], ["2", "a", "b", "1000", "0", "10"], ["2", "a", "b", "1000", "0-0", "-1"],
        ])
    func refuses(words: [String]) async throws {
        let bench = try await FunctionBench()
        await #expect {
            _ = try await bench.client.send(RESPCommand(["FCALL", "sluice_read"] + words))
        } throws: {
            guard case RedisError.refused(let message) = $0 else { return false }
            return message.hasPrefix("SLUICE ")
        }
    }
}
