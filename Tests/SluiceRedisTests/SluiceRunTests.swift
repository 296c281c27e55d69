// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import SluiceRedis
import TestSupport
import Testing

@Suite("The runs of the function")
struct SluiceRunTests {
    private static func publish(_ bench: FunctionBench) async throws -> EventID {
        try #require(try await bench.publish("sluice:topic:a").id)
    }

    private static func tick(_ bench: FunctionBench, known: String = "0-0") async throws -> EventID {
        let reply = try await bench.client.send("FCALL", "sluice_tick", "1", "sluice:node:n", known)
        return try #require(reply.array?.first?.string.flatMap { EventID($0) })
    }

    private static func lineage(_ bench: FunctionBench) async throws -> Lineage {
        Lineage(text: try #require(try await bench.text("HGET", "sluice:clock", "runs")))
    }

    /// The library's variables are lost, as in a server that has just been promoted.
    private static func beginAnew(_ bench: FunctionBench) async throws {
        _ = try await bench.text("FUNCTION", "FLUSH")
        try await bench.client.install()
    }

    private static func isMarked(_ id: EventID) -> Bool { id.sequence % 256 >= 128 }

    @Test("each process begins a run with the newest id that it found, whoever calls first; a list of them stays short")
    func runs() async throws {
        let bench = try await FunctionBench()
        let one = try await SluiceRunTests.publish(bench)
        _ = try await SluiceRunTests.publish(bench)
        let first = try await SluiceRunTests.lineage(bench)
        #expect(first.runs.map(\.found) == [.zero])
        // As a file that is older: the process did not write this.
        _ = try await bench.text("HSET", "sluice:clock", "last", "\(one)")
        _ = try await SluiceRunTests.publish(bench)
        let second = try await SluiceRunTests.lineage(bench)
        #expect(second.runs.map(\.found) == [.zero, one] && first.parting(from: second)?.upTo == one)
        for _ in 0..<20 {
            _ = try await bench.text("HSET", "sluice:clock", "last", "\(one)")
            _ = try await SluiceRunTests.tick(bench)
        }
        let runs = try await SluiceRunTests.lineage(bench).runs
        #expect(runs.count == 16 && runs.allSatisfy { $0.found == one })
    }

    @Test("ids of a data set's first process count from 0, whatever is done to its clock")
    func plain() async throws {
        let bench = try await FunctionBench()
        #expect(try await SluiceRunTests.tick(bench, known: "99999999999999-7") == EventID(99_999_999_999_999, 7))
        #expect(try await SluiceRunTests.publish(bench) == EventID(99_999_999_999_999, 8))
        _ = try await bench.text("HSET", "sluice:clock", "last", "99999999999999-3")
        // The log's marker is later than that.
        #expect(try await SluiceRunTests.publish(bench) == EventID(99_999_999_999_999, 9))
        // None of its ids looks as if it were marked.
        let jumps: [(String, UInt64)] = [
            ("99999999999999-126", 127), ("99999999999999-127", 256), ("99999999999999-900", 1024),
        ]
        for (known, next) in jumps {
            _ = try await SluiceRunTests.tick(bench, known: known)
            #expect(try await SluiceRunTests.publish(bench).sequence == next + (known.hasSuffix("900") ? 1 : 0))
        }
    }

    @Test("all that a later process gives out says which run it is of: ids, readings, and the clock after a report")
    func marked() async throws {
        let bench = try await FunctionBench()
        let before = try await SluiceRunTests.publish(bench)
        try await SluiceRunTests.beginAnew(bench)
        var given = [before, try await SluiceRunTests.publish(bench), try await SluiceRunTests.tick(bench)]
        // A node remembers what a former master has given out since.
        let later = EventID(given[2].milliseconds + 5000, 3)
        given.append(try await SluiceRunTests.tick(bench, known: "\(later)"))
        #expect(given[3] > later)
        for _ in 0..<3 { given.append(try await SluiceRunTests.publish(bench)) }
        given.append(try await SluiceRunTests.tick(bench))
        // It has heard an event, which is lost.
        let lost = EventID(given[7].milliseconds, given[7].sequence / 256 * 256 + 256)
        let report = [
            "FCALL", "sluice_heard", "3", "sluice:clock", "sluice:topic:b", "sluice:last:topic:b", "\(before)",
            "\(lost)",
        ]
        #expect(try await bench.client.send(RESPCommand(report)) == .integer(1))
        let last = try #require(try await bench.text("HGET", "sluice:clock", "last").flatMap { EventID($0) })
        #expect(last > lost)
        given += [last, try await SluiceRunTests.publish(bench)]
        #expect(given.dropFirst().allSatisfy(SluiceRunTests.isMarked) && !SluiceRunTests.isMarked(before))
        #expect(zip(given, given.dropFirst()).allSatisfy { $0 <= $1 }, "\(given)")

        let lineage = try await SluiceRunTests.lineage(bench)
        #expect(given.allSatisfy { lineage.rivalBegan(to: $0) == nil }, "all are of this data set")
        let began = try #require(lineage.newestParting?.began)
        #expect(lineage.rivalBegan(to: later) == began && lineage.rivalBegan(to: lost) == began)
    }

    @Test("a run has another mark than those that are remembered, also where one follows on the other at once")
    func marks() async throws {
        let bench = try await FunctionBench()
        var marks: [UInt64] = []
        for _ in 0..<20 {
            marks.append(try await SluiceRunTests.publish(bench).sequence % 256)
            try await SluiceRunTests.beginAnew(bench)
        }
        #expect(marks[0] < 128)
        #expect(marks.dropFirst().allSatisfy { $0 >= 128 } && Set(marks.suffix(16)).count == 16, "\(marks)")
        let runs = try await SluiceRunTests.lineage(bench).runs
        #expect(runs.map { 128 + $0.number / 1_000_000 % 128 } == Array(marks.suffix(16)))
        #expect(runs.allSatisfy { $0.number % 100 == 1 } && !marks.contains(255))
    }

    @Test("a marked sequence that is used up ends in the next millisecond, and a clock at its end stays there")
    func lastSequence() async throws {
        let bench = try await FunctionBench()
        _ = try await SluiceRunTests.publish(bench)
        try await SluiceRunTests.beginAnew(bench)
        let next = try await SluiceRunTests.tick(bench, known: "99999999999999-999999999999999")
        #expect(next.milliseconds == 100_000_000_000_000 && SluiceRunTests.isMarked(next))
        let end = "999999999999999-999999999999999"
        #expect(try await SluiceRunTests.tick(bench, known: end) == EventID(end))
        #expect(try await SluiceRunTests.tick(bench) == EventID(end))
    }
}
