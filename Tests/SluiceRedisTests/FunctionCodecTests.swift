// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import SluiceRedis
import TestSupport
import Testing

@Suite("The commands of the function, and their replies")
struct FunctionCodecTests {
    private static let names = RedisNames(prefix: "p")

    private static func publication(
        _ target: Target = .all, _ data: String = "x", _ change: (inout Publication) -> Void = { _ in }
    ) -> Publication {
        var publication = Publication(Event(ByteBuffer(string: data)), to: target)
        change(&publication)
        return publication
    }

    private static func words(_ command: RESPCommand) -> [String] {
        command.words.map { String(buffer: $0) }
    }

    // MARK: Publishing

    @Test("a publication is one call, which says only what its publisher has said; a live one needs no function")
    func publishing() throws {
        let topic = try Target.topic("a.b")
        func words(_ change: (inout Publication) -> Void = { _ in }) -> [String] {
            FunctionCodecTests.words(
                SluiceFunction.publish(
                    FunctionCodecTests.publication(topic, "d", change), names: FunctionCodecTests.names))
        }
        let call = ["FCALL", "sluice_publish", "1", "p:topic:a.b", "d"]
        #expect(words() == call)
        #expect(
            words {
                $0.event.type = "t"
                $0.event.key = "k"
                $0.event.ends = true
                $0.retention = Publication.Retention(maxlen: 5, ttl: 6)
                $0.once = "o"
            } == call + ["event", "t", "key", "k", "end", "1", "maxlen", "5", "ttl", "6", "once", "o"])
        #expect(
            words {
                $0.retention = nil
                $0.event.type = "t"
                $0.event.key = "k"
            } == ["PUBLISH", "p:topic:a.b", "\u{1E}1 - -\nevent: t\nkey: k\n\nd"])
        #expect(
            words {
                $0.retention = nil
                $0.once = "o"
            } == call + ["log", "0", "once", "o"], "a token needs the function")
    }

    @Test("any bytes are published as they are")
    func binary() throws {
        let bytes = ByteBuffer(bytes: (0...255).map { UInt8($0) })
        #expect(RESPCommand.publish(bytes, on: "c").words == [.init(string: "PUBLISH"), .init(string: "c"), bytes])
        #expect(SluiceFunction.publish(bytes, to: "c").words.last == bytes)
    }

    @Test("a receipt is read from the function's reply and from that of PUBLISH, and from nothing else")
    func receipts() {
        let id = EventID(5, 1)
        #expect(Receipt(reply: .integer(3)) == Receipt(id: nil, nodes: 3))
        #expect(Receipt(reply: .array([.text("5-1"), .integer(2)])) == Receipt(id: id, nodes: 2))
        #expect(Receipt(reply: .array([.text(""), .integer(0)])) == Receipt(id: nil, nodes: 0), "a live event")
        for reply: RESPValue in [
            .null, .status("OK"), .text("5-1"), .array([]), .array([.text("5-1")]), .array([.integer(1), .integer(1)]),
            .array([.text("5-1"), .text("2")]), .array([.text("5-1"), .integer(2), .integer(2)]),
        ] {
            #expect(Receipt(reply: reply) == nil, "\(reply)")
        }
    }

    // MARK: Reading

    @Test("what is published is read from its log as it was, by the function that a node installs")
    func roundTrip() async throws {
        let bench = try await FunctionBench()
        let names = RedisNames(prefix: "sluice")
        let target = try Target.client("日本")
        let publications = [
            FunctionCodecTests.publication(target, ""),
            FunctionCodecTests.publication(target, "\0\r\n") { $0.event.type = "t" },
            FunctionCodecTests.publication(target, "d") {
                $0.event.type = "Ü"
                $0.event.key = "k k"
                $0.event.ends = true
                $0.once = "o"
            },
        ]
        var entries: [LogEntry] = []
        for publication in publications {
            let reply = try await bench.client.send(SluiceFunction.publish(publication, names: names))
            let receipt = try #require(Receipt(reply: reply))
            entries.append(
                LogEntry(
                    id: try #require(receipt.id), previous: entries.last?.id, event: publication.event))
        }
        let reads = [LogRead(target, after: .zero, bytes: 1000), LogRead(.all, after: EventID(1, 2), bytes: 1000)]
        let reply = try await bench.client.send(SluiceFunction.read(reads, bytes: 1 << 20, names: names))
        let last = try #require(entries.last).id
        #expect(
            LogRead.outcomes(reply: reply, of: 2) == [
                .page(
                    LogPage(marker: LogMarker(id: last, ends: true), entries: entries, upTo: last, isLast: true)),
                .page(LogPage(marker: nil, entries: [], upTo: EventID(1, 2), isLast: true)),
            ])

        let replies = try await bench.client.pipeline(
            ClockReading.commands(.first, markersOf: [target, .all], names: names))
        let reading = try #require(ClockReading(replies: replies, markers: 2))
        #expect(reading.clock == last && reading.markers == [LogMarker(id: last, ends: true), nil])
        let entry = NodeEntry(
            version: "1", started: 2, listen: "[::1]:3", streams: 4, isReady: true, isDraining: false)
        let tick = try await bench.client.send(
            SluiceFunction.tick(known: last, node: "n", .first, entry: entry, names: names))
        #expect(try #require(SluiceFunction.serverTime(tick: tick)) >= last.milliseconds)
        #expect(Registry.entry(reply: try await bench.client.send(Registry.entry(of: "n", names))) == entry)
        #expect(Registry.entry(reply: try await bench.client.send(Registry.entry(of: "m", names))) == nil)
    }

    @Test("a log that can't be read says why, and what somebody else has put into one is left out")
    func foreignEntries() throws {
        func log(_ entries: [RESPValue], problem: String = "", upTo: String = "9-0") -> RESPValue {
            .array([.text(problem), .text(""), .text(upTo), .integer(0), .array(entries)])
        }
        func entry(_ id: String, _ fields: String...) -> RESPValue {
            .array([.text(id), .array(fields.map { .text($0) })])
        }
        func outcome(_ reply: RESPValue) throws -> LogRead.Outcome {
            try #require(LogRead.outcomes(reply: .array([reply]), of: 1)?.first)
        }
        #expect(try outcome(log([], problem: "WRONGTYPE")) == .unreadable("WRONGTYPE"))
        let entries = [
            entry("1-0"), entry("1-0", "d"), entry("x", "d", "y"), entry("1-0", "e", "t"),
            entry("1-0", "e", "gap", "d", "y"), entry("1-0", "d", "y", "e", "two\nlines"), .null,
            .array([.text("1-0"), .array([.text("d"), .integer(1)])]),
            entry("2-0", "other", "z", "p", "-", "d", "ours"),
        ]
        let ours = LogEntry(id: EventID(2, 0), previous: nil, event: Event(ByteBuffer(string: "ours")))
        #expect(
            try outcome(log(entries))
                == .page(LogPage(marker: nil, entries: [ours], upTo: EventID(9, 0), isLast: false)))
        #expect(
            try outcome(log([], upTo: "1000000000000000-0"))
                == .page(LogPage(marker: nil, entries: [], upTo: nil, isLast: true)),
            "behind an id that no clock gives out there is nothing to read")
    }

    @Test("there is an outcome for each of the first so many logs, and at least one")
    func outcomeCount() {
        let log = RESPValue.array([.text(""), .text(""), .text("1-0"), .integer(1), .array([])])
        #expect(LogRead.outcomes(reply: .array([log]), of: 2)?.count == 1)
        #expect(LogRead.outcomes(reply: .array([log, log]), of: 2)?.count == 2)
        for reply: RESPValue in [.null, .array([]), .array([log, log, log]), .array([log, .null])] {
            #expect(LogRead.outcomes(reply: reply, of: 2) == nil)
        }
    }

    // MARK: The clock

    @Test("a clock that the function can't have written is no reading, and neither is one without all of its markers")
    func clockReadings() {
        func reading(_ replies: [RESPValue], _ count: Int = 0) -> ClockReading? {
            ClockReading(replies: replies, markers: count)
        }
        let clock = RESPValue.array([.text("7-1"), .text("3"), .text("9 6-1")])
        let lineage = Lineage([Lineage.Run(9, found: EventID(6, 1))])
        #expect(reading([clock]) == ClockReading(clock: EventID(7, 1), born: 3, lineage: lineage))
        #expect(
            reading([clock, .array([.text("5-0 end"), .null, .text("x")])], 3)
                == ClockReading(
                    clock: EventID(7, 1), born: 3, lineage: lineage,
                    markers: [LogMarker(id: EventID(5, 0), ends: true), nil, nil]))
        #expect(reading([clock, .array([.null])], 2) == nil, "whose marker it is, is not known")
        for fields: [RESPValue] in [
            [], [.null, .null, .null], [.text("7-1")], [.text("7-1"), .text("3")],
            [.text("7-1"), .null, .null], [.text("7"), .text("3"), .null],
            [.text("7-1"), .text("1000000000000000"), .null], [.text("7-1"), .text("-3"), .null],
        ] {
            #expect(reading([.array(fields)]) == nil, "\(fields)")
        }
        #expect(reading([]) == nil && reading([.null]) == nil)
    }

    @Test(
        "on a node's own channel only a tick, a sign of life and an answer mean something",
        arguments: [
            ("tick 7-1 3", "7-1 3"), ("alive", "alive"), ("", nil), ("tick", nil), ("tick 7-1", nil),
            ("tick 7-1 3 4", nil), ("tock 7-1 3", nil), ("tick x 3", nil), ("tick 7-1 x", nil), ("alive!", nil),
            ("tick 7-1 1000000000000000", nil), ("tick 1000000000000000-0 3", nil), ("{}", "answer"), (" {}", nil),
        ] as [(String, String?)])
    func nodeMessages(text: String, meaning: String?) {
        let message = Array(text.utf8).withUnsafeBytes { NodeMessage($0) }
        switch message {
        case .tick(let reading): #expect("\(reading.clock) \(reading.born)" == meaning)
        case .alive: #expect(meaning == "alive")
        case .answer: #expect(meaning == "answer")
        case nil: #expect(meaning == nil)
        }
    }

    @Test("a sign of life is understood as one")
    func signOfLife() throws {
        let command = NodeMessage.signOfLife(node: "p:node:n")
        #expect(FunctionCodecTests.words(command).prefix(2) == ["PUBLISH", "p:node:n"])
        let message = try #require(command.words.last).withUnsafeReadableBytes { NodeMessage($0) }
        guard case .alive = message else {
            Issue.record("\(String(describing: message))")
            return
        }
    }

    // MARK: Whatever comes

    @Test("no reply, however odd, is a trap", arguments: 0..<20 as Range<UInt64>)
    func oddReplies(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let texts = ["", "1-0", "9-0 end", "tick 1-0 2", "d", "p", "e", "end", "gap", "\u{0}", "999999999999999999999"]
        func value(_ depth: Int) -> RESPValue {
            switch Int.random(in: 0..<(depth < 4 ? 12 : 6), using: &generator) {
            case 0: return .null
            case 1: return .integer([.min, -1, 0, 1, .max].randomElement(using: &generator) ?? 0)
            case 2: return .status("OK")
            case 3: return .error("ERR")
            case 4, 5: return .text(texts.randomElement(using: &generator) ?? "")
            default: return .array((0..<Int.random(in: 0...5, using: &generator)).map { _ in value(depth + 1) })
            }
        }
        for _ in 0..<2000 {
            let reply = value(0)
            _ = Receipt(reply: reply)
            _ = SluiceFunction.serverTime(tick: reply)
            _ = ClockReading(replies: reply.array ?? [], markers: 1)
            for count in 0...2 {
                let outcomes = LogRead.outcomes(reply: reply, of: count)
                #expect(outcomes.map { (1...max(1, count)).contains($0.count) } ?? true)
            }
        }
    }
}
