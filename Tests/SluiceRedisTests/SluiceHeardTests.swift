// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import SluiceRedis
import TestSupport
import Testing

@Suite("FCALL sluice_heard", .timeLimit(.minutes(1)))
struct SluiceHeardTests {
    private static let log = "sluice:topic:a"
    private static let marker = "sluice:last:topic:a"

    private static func later(_ id: EventID, _ milliseconds: UInt64 = 1) -> EventID {
        EventID(id.milliseconds + milliseconds, 0)
    }

    private static func heard(
        _ bench: FunctionBench, since: EventID, _ id: EventID, _ more: String = ""
    ) async throws -> Int64? {
        try await bench.integer(
            "FCALL", "sluice_heard", "3", "sluice:clock", log, marker, "\(since)", "\(id)\(more)")
    }

    private static func publish(_ bench: FunctionBench) async throws -> EventID {
        try #require(try await bench.publish(log).id)
    }

    private static func found(_ bench: FunctionBench) async throws -> LogMarker {
        try #require(try await bench.text("GET", marker).flatMap { LogMarker($0) })
    }

    @Test("what the log has is no loss, nor what was trimmed after it had been named; nothing is written")
    func complete() async throws {
        let bench = try await FunctionBench()
        let one = try await SluiceHeardTests.publish(bench)
        let two = try await SluiceHeardTests.publish(bench)
        let before = try await bench.text("GET", SluiceHeardTests.marker)
        for id in [one, two] { #expect(try await SluiceHeardTests.heard(bench, since: .zero, id) == 0) }
        _ = try await bench.text("XDEL", SluiceHeardTests.log, "\(one)")
        #expect(try await SluiceHeardTests.heard(bench, since: .zero, one) == 0)
        #expect(try await bench.text("GET", SluiceHeardTests.marker) == before)
    }

    @Test("what is lost at the end: the marker names the hole, no id goes back, the channel is told, once")
    func lostAtEnd() async throws {
        let bench = try await FunctionBench()
        let one = try await SluiceHeardTests.publish(bench)
        let lost = SluiceHeardTests.later(one, 60_000)
        let feed = try await FeedProbe(try bench.server.endpoint())
        #expect(try await feed.listen(to: SluiceHeardTests.log))
        #expect(try await SluiceHeardTests.heard(bench, since: one, lost) == 1)
        #expect(try await SluiceHeardTests.heard(bench, since: one, lost) == 0)
        #expect(await eventually { feed.messages == [Array("\u{1E}lost \(one) \(one) \(lost)".utf8)] })
        let marker = try await SluiceHeardTests.found(bench)
        #expect(marker == LogMarker(id: one, ends: false, holes: [Hole(from: one, after: one, upTo: lost)]))
        let next = try await SluiceHeardTests.publish(bench)
        #expect(next > lost, "no id goes back")
        #expect(try await bench.entries(SluiceHeardTests.log).last?.fields["p"] == "\(one)", "the chain goes on")
        #expect(try await SluiceHeardTests.found(bench).holes == marker.holes)
        let life = try #require(try await bench.integer("PTTL", SluiceHeardTests.marker))
        #expect(life > 86_000_000)
        try await feed.stop()
    }

    @Test("a lost end closes the topic all the same")
    func lostEnd() async throws {
        let bench = try await FunctionBench()
        let one = try await SluiceHeardTests.publish(bench)
        #expect(try await SluiceHeardTests.heard(bench, since: one, SluiceHeardTests.later(one), " end") == 1)
        #expect(try await SluiceHeardTests.found(bench).ends)
        #expect(try await SluiceHeardTests.found(bench).id == SluiceHeardTests.later(one))
    }

    @Test("what is lost behind somebody's back who published first is found by the chain, and by what is missing in it")
    func lostBefore() async throws {
        let bench = try await FunctionBench()
        let one = try await SluiceHeardTests.publish(bench)
        // No event gets this id: the function counts from 0 in each millisecond.
        let lost = EventID(one.milliseconds, 999)
        #expect(await eventually { try await SluiceHeardTests.publish(bench) > lost })
        let newest = try #require(try await bench.entries(SluiceHeardTests.log).last?.id)
        #expect(try await SluiceHeardTests.heard(bench, since: one, lost) == 1)
        let marker = try await SluiceHeardTests.found(bench)
        #expect(marker == LogMarker(id: newest, ends: false, holes: [Hole(from: one, after: one, upTo: lost)]))
        // Those that reach less far or further stay beside it: who had the newest of one may lack that of another.
        let (less, further) = (EventID(one.milliseconds, 998), EventID(one.milliseconds, 1500))
        for id in [further, less] {
            #expect(try await SluiceHeardTests.heard(bench, since: one, id) == 1)
            #expect(try await SluiceHeardTests.heard(bench, since: one, id) == 0)
        }
        let holes = [less, lost, further].map { Hole(from: one, after: one, upTo: $0) }
        #expect(try await SluiceHeardTests.found(bench).holes == holes)
    }

    @Test("what is lost is found where what came next was trimmed, too: nobody could tell the difference later")
    func lostAndTrimmed() async throws {
        let bench = try await FunctionBench()
        let one = try await SluiceHeardTests.publish(bench)
        let lost = EventID(one.milliseconds, 999)
        #expect(await eventually { try await SluiceHeardTests.publish(bench) > lost })
        _ = try await bench.text("XTRIM", SluiceHeardTests.log, "MAXLEN", "0")
        #expect(try await SluiceHeardTests.heard(bench, since: one, lost) == 1)
        #expect(try await SluiceHeardTests.found(bench).holes == [Hole(from: one, after: one, upTo: lost)])
    }

    @Test("a log that can't be read, and one without a marker, are told, and cost the others nothing")
    func strange() async throws {
        let bench = try await FunctionBench()
        let one = try await SluiceHeardTests.publish(bench)
        _ = try await bench.text("SET", "sluice:topic:b", "no log")
        _ = try await bench.text("LPUSH", "sluice:last:topic:c", "no marker")
        let lost = SluiceHeardTests.later(one)
        var words = ["FCALL", "sluice_heard", "9", "sluice:clock"]
        for topic in ["b", "c", "d", "a"] { words += ["sluice:topic:\(topic)", "sluice:last:topic:\(topic)"] }
        words += ["\(one)"] + Array(repeating: "\(lost)", count: 4)
        guard case .integer(let count) = try await bench.client.send(RESPCommand(words)) else {
            Issue.record("no number")
            return
        }
        #expect(count == 3)
        #expect(try await SluiceHeardTests.found(bench).holes.map(\.upTo) == [lost])
        #expect(try await bench.text("GET", "sluice:last:topic:d") == "\(lost) lost 0-0 \(one) \(lost)")
        #expect(try await bench.text("HGET", "sluice:clock", "last") == "\(lost)")
    }

    @Test("what is lost begins where the node says so of each log")
    func places() async throws {
        let bench = try await FunctionBench()
        let one = try await SluiceHeardTests.publish(bench)
        let (first, lost) = (SluiceHeardTests.later(one, 40), SluiceHeardTests.later(one, 50))
        let report = HeardReport([.init(HeardEvent(try .topic("a"), lost, ends: true), since: first)])
        let names = RedisNames(prefix: "sluice")
        let reply = try await bench.client.send(SluiceFunction.heard(report, partition: .first, names: names))
        let marker = try await SluiceHeardTests.found(bench)
        #expect(reply == .integer(1) && marker.ends && marker.holes == [Hole(from: one, after: first, upTo: lost)])
        for text in ["x \(lost)", "\(first) x", "\(one) \(first) \(lost)"] {
            let words = ["FCALL", "sluice_heard", "3", "sluice:clock", SluiceHeardTests.log, SluiceHeardTests.marker]
            let refusal = await bench.refusal(nil, words + ["\(one)", text])
            #expect(refusal?.hasPrefix("SLUICE sluice_heard takes") == true)
        }
    }

    @Test("holes are bounded, and a hole of more than a day ago is forgotten")
    func bounded() async throws {
        let bench = try await FunctionBench()
        let one = try await SluiceHeardTests.publish(bench)
        for number in 1...20 as ClosedRange<UInt64> {
            let since = SluiceHeardTests.later(one, number * 10)
            #expect(try await SluiceHeardTests.heard(bench, since: since, SluiceHeardTests.later(since)) == 1)
        }
        #expect(try await SluiceHeardTests.found(bench).holes.count == 8)
        let old = EventID(one.milliseconds - 100_000_000, 0)
        _ = try await bench.text("SET", SluiceHeardTests.marker, "\(one) lost 0-0 0-0 \(old) lost \(old) \(old) \(one)")
        _ = try await SluiceHeardTests.publish(bench)
        #expect(try await SluiceHeardTests.found(bench).holes == [Hole(from: old, after: old, upTo: one)])
    }

    @Test("a node with the library before this one is understood, which says more")
    func older() async throws {
        let bench = try await FunctionBench()
        let one = try await SluiceHeardTests.publish(bench)
        let lost = SluiceHeardTests.later(one, 5)
        let tail = ["doubt", "\(one)", "\(lost)"]
        let report = ["FCALL", "sluice_heard", "3", "sluice:clock", SluiceHeardTests.log, SluiceHeardTests.marker]
        #expect(try await bench.client.send(RESPCommand(report + ["\(one)", "\(lost)"] + tail)) == .integer(1))
        let nothing = ["FCALL", "sluice_heard", "1", "sluice:clock", "\(one)"]
        #expect(try await bench.client.send(RESPCommand(nothing + tail)) == .integer(0))
        #expect(await bench.refusal(nil, nothing)?.hasPrefix("SLUICE sluice_heard takes") == true)
    }

    @Test("malformed arguments are refused", arguments: ["", "1-1 2-2 3-3", "1-1", "x 1-1", "1-1 x", "1-1 1-1 end x"])
    func refused(arguments: String) async throws {
        let bench = try await FunctionBench()
        let words = ["FCALL", "sluice_heard", "3", "sluice:clock", SluiceHeardTests.log, SluiceHeardTests.marker]
        let refusal = await bench.refusal(nil, words + arguments.split(separator: " ").map(String.init))
        #expect(refusal?.hasPrefix("SLUICE sluice_heard takes") == true)
    }
}
