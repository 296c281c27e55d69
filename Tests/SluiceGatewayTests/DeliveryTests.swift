// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    @Suite("delivers")
    struct DeliveryTests {
        @Test(
            "Every stream gets what is for its client, its topics and everybody, once and in one order",
            .timeLimit(.minutes(1)), arguments: BrokerKind.allCases)
        func subscriptions(broker: BrokerKind) async throws {
            let test = try await TestNode.start(broker)
            let targets = [
                "client=c", "client=c", "client=c&topic=a", "topic=a&topic=b", "client=d", "topic=b&topic=b",
            ]
            var streams: [EventStreamClient] = []
            for target in targets { streams.append(try await test.stream("/events?\(target)")) }
            var expected = targets.map { _ in [String]() }
            var generator = SeededGenerator(seed: 1)
            for number in 0..<200 {
                let (json, name) = [
                    (#""client":"c""#, "client=c"), (#""client":"d""#, "client=d"), (#""topic":"a""#, "topic=a"),
                    (#""topic":"b""#, "topic=b"), (#""all":true"#, "="),
                ][Int.random(in: 0..<5, using: &generator)]
                try await test.publish(#"{\#(json),"data":"\#(number)"}"#)
                for (index, target) in targets.enumerated() where target.contains(name) {
                    expected[index].append("\(number)")
                }
            }
            for (stream, expected) in zip(streams, expected) {
                #expect(await stream.receives(expected.count))
                #expect(stream.data == expected)
                #expect(stream.now.ignored.isEmpty)
                let ids = stream.now.messages.map(\.id)
                #expect(Set(ids).count == ids.count)
            }
        }

        /// Text of a length in bytes, with everything in it that could break a block.
        private static func text(bytes count: Int, seed: UInt64) -> [UInt8] {
            var generator = SeededGenerator(seed: seed)
            let pieces = ["\n", "\r", "\r\n", ": ", "data: x", "\n\n", "id: 1", " ", "\0", "ä", "€", "😀", "x", "event"]
            let filler = Array("the quick brown fox jumps over the lazy dog ".utf8)
            var bytes: [UInt8] = []
            while bytes.count < count {
                let piece = Array(pieces[Int.random(in: 0..<pieces.count, using: &generator)].utf8)
                bytes += piece
                for _ in 0..<Int.random(in: 0...(count > 5000 ? 60 : 1), using: &generator) { bytes += filler }
            }
            bytes = Array(bytes.prefix(count))
            while String(validating: bytes, as: UTF8.self) == nil { bytes.removeLast() }  // a character that was cut
            return bytes + Array(repeating: 0x2E, count: count - bytes.count)
        }

        /// What a browser makes of line ends.
        private static func seen(_ bytes: [UInt8]) -> String {
            var result: [UInt8] = []
            var last: UInt8 = 0
            for byte in bytes {
                if byte == 10, last == 13 {
                    last = byte
                    continue
                }
                result.append(byte == 13 ? 10 : byte)
                last = byte
            }
            return String(decoding: result, as: UTF8.self)
        }

        @Test(
            "Data of 0 bytes to 1 MB arrives in one block each, once and in order, however it was published",
            .timeLimit(.minutes(3)), arguments: BrokerKind.allCases)
        func sizes(broker: BrokerKind) async throws {
            let test = try await TestNode.start(broker)
            let streams = [
                try await test.stream("/events?topic=t"), try await test.stream("/events?topic=t&topic=u&client=c"),
            ]
            let client = if let redis = test.redis { try await RedisClient(redis) } else { RedisClient?.none }
            var expected: [String] = []
            for (index, size) in [0, 1, 2, 127, 1460, 16384, 65535, 65536, 262_145, 1_000_000, 1_048_576, 3]
                .enumerated()
            {
                let text = DeliveryTests.text(bytes: size, seed: UInt64(index))
                if let client {
                    try await client.publish("sluice:topic:t", text)
                    let reply = try await client.command(
                        Array("FCALL".utf8), Array("sluice_publish".utf8), [0x31], Array("sluice:topic:t".utf8), text)
                    #expect(reply.wholeMatch(of: /\d+-\d+ 1/) != nil, "\(reply)")
                    expected += [DeliveryTests.seen(text), DeliveryTests.seen(text)]
                }
                try await test.publish(#"{"topic":"t","data":\#(try quoted(String(decoding: text, as: UTF8.self)))}"#)
                expected.append(DeliveryTests.seen(text))
            }
            for stream in streams {
                #expect(await stream.receives(expected.count, within: 60))
                let data = stream.data
                #expect(data.map(\.utf8.count) == expected.map(\.utf8.count))
                #expect(data == expected, "the sizes are right, the texts are not")
                #expect(stream.now.ignored.isEmpty)
                #expect(stream.now.failure == nil)
            }
        }

        @Test(
            "A burst arrives whole and in order at every stream",
            .timeLimit(.minutes(2)), arguments: Stage.all)
        func burst(stage: Stage) async throws {
            let test = try await TestNode.start(stage)
            var streams: [EventStreamClient] = []
            for number in 0..<12 { streams.append(try await test.stream("/events?topic=t\(number % 3)&topic=all")) }
            let count = 3000
            if let redis = test.redis {
                let client = try await RedisClient(redis)
                let replies = try await client.pipeline(
                    (0..<count).map { number in
                        let key = number % 2 == 0 ? "sluice:topic:all" : "sluice:topic:t\(number % 3)"
                        return number % 4 < 2
                            ? ["PUBLISH", key, "\(number)"].map { Array($0.utf8) }
                            : ["FCALL", "sluice_publish", "1", key, "\(number)"].map { Array($0.utf8) }
                    })
                #expect(replies.allSatisfy { !$0.hasPrefix("-") })
            } else {
                let lines = (0..<count).map { number in
                    #"{"topic":"\#(number % 2 == 0 ? "all" : "t\(number % 3)")","data":\#(number)}"#
                }
                let answer = try await test.request(
                    "POST", "/publish", headers: ["Content-Type": "application/x-ndjson"],
                    body: Array(lines.joined(separator: "\n").utf8))
                #expect(answer.status == 200)
            }
            for (index, stream) in streams.enumerated() {
                let expected = (0..<count).filter { $0 % 2 == 0 || $0 % 3 == index % 3 }.map(String.init)
                #expect(await stream.receives(expected.count, within: 60))
                #expect(stream.data == expected)
            }
        }

        @Test("Data from Redis that is not UTF-8 arrives repaired and is counted", .timeLimit(.minutes(1)))
        func invalidUTF8() async throws {
            let test = try await TestNode.start(.redis)
            let client = try await RedisClient(try #require(test.redis))
            let stream = try await test.stream("/events?topic=t")
            try await client.publish("sluice:topic:t", [0x61, 0xFF, 0x62])
            try await client.publish("sluice:topic:t", [0xC3, 0xA4, 0x0A, 0xC3])
            try await client.publish("sluice:topic:t", Array("clean".utf8))
            #expect(await stream.receives(3))
            #expect(stream.data == ["a\u{FFFD}b", "ä\n\u{FFFD}", "clean"])
            #expect(try await test.node.metric("events_invalid_utf8_total") == 2)
        }

        @Test(
            "A malformed envelope, an id from the future and an event over --max-event are dropped and counted; nobody notices",
            .timeLimit(.minutes(1)))
        func dropped() async throws {
            let test = try await TestNode.start(.redis, ["--max-event", "1KiB"])
            let client = try await RedisClient(try #require(test.redis))
            let stream = try await test.stream("/events?topic=t")
            let malformed = [
                "\u{1E}", "\u{1E}\n\n", "\u{1E}1 - -", "\u{1E}1 - -\n", "\u{1E}2 - -\n\nx", "\u{1E}1 x -\n\nx",
                "\u{1E}1 1-1 \n\nx", "\u{1E}1 01-1 -\n\nx", "\u{1E}1 - -\nevent: \n\nx",
                "\u{1E}1 - -\nevent: open\n\nx",
                "\u{1E}1 - -\nevent: a\rb\n\nx", "\u{1E}1 - - -\n\nx", "\u{1E}1 18446744073709551616-0 -\n\nx",
                "\u{1E}1 99999999999999-0 -\n\nfuture",
            ]
            for payload in malformed { try await client.publish("sluice:topic:t", Array(payload.utf8)) }
            try await client.publish("sluice:topic:t", Array(repeating: 0x78, count: 1025))
            try await client.publish("sluice:topic:t", Array(repeating: 0x79, count: 1024))
            try await client.publish("sluice:topic:t", Array("\u{1E}1 - -\nnew-header: x\nevent: e\n\nlive".utf8))
            try await test.publish(#"{"topic":"t","data":"good"}"#)
            #expect(await stream.receives(3))
            #expect(stream.data == [String(repeating: "y", count: 1024), "live", "good"])
            #expect(stream.now.messages.map(\.type) == ["message", "e", "message"])
            #expect(stream.now.openings == 1)
            #expect(try await test.node.metric("events_dropped_total{reason=\"malformed\"}") == malformed.count - 1)
            #expect(try await test.node.metric("events_dropped_total{reason=\"future\"}") == 1)
            #expect(try await test.node.metric("events_dropped_total{reason=\"oversized\"}") == 1)
            #expect(test.node.output.contains("was dropped"))
            #expect(test.node.output.split(separator: "\n").filter { $0.contains("does not parse") }.count == 1)
        }

        @Test("An event whose id lies behind arrives without one, so no cursor goes back", .timeLimit(.minutes(1)))
        func oldID() async throws {
            let test = try await TestNode.start(.redis)
            let client = try await RedisClient(try #require(test.redis))
            let stream = try await test.stream("/events?topic=t")
            #expect(await stream.waits { !$0.events.isEmpty })
            let start = try #require(stream.now.events.first?.id.split(separator: "-").first)
            try await test.publish(#"{"topic":"t","data":"1"}"#)
            // Beyond where the stream began, and before the event that it has.
            try await client.publish("sluice:topic:t", Array("\u{1E}1 \(start)-999 -\n\n2".utf8))
            #expect(await stream.receives(2))
            #expect(stream.data == ["1", "2"])
            #expect(Set(stream.now.messages.map(\.id)).count == 1)
        }

        @Test("A forged reading of the clock does no harm", .timeLimit(.minutes(1)))
        func forgedClock() async throws {
            let test = try await TestNode.start(.redis)
            let client = try await RedisClient(try #require(test.redis))
            let stream = try await test.stream("/events?topic=t")
            for clock in [
                "18446744073709551615-18446744073709551615 1", "18446744073709551000-0 0", "1-1 1", "x y", "",
            ] {
                try await client.publish("sluice:node:\(test.node.id)", Array("tick \(clock)".utf8))
                try await test.publish(#"{"topic":"t","data":"good"}"#)
            }
            #expect(await stream.receives(5))
            #expect(Set(stream.now.messages.map(\.id)).count == 5)
            #expect(test.node.isRunning)
        }

        @Test("Another prefix is another world", .timeLimit(.minutes(1)))
        func prefix() async throws {
            let redis = try await RedisServer()
            let one = try await NodeProcess(redis: redis, ["--prefix", "one"])
            let two = try await NodeProcess(redis: redis, ["--prefix", "two"])
            let first = try await EventStreamClient.opened(port: one.port, "/events?topic=t")
            let second = try await EventStreamClient.opened(port: two.port, "/events?topic=t")
            #expect(try await publish(one.port, #"{"topic":"t","data":"1"}"#).text.contains(#""nodes":1"#))
            #expect(try await publish(two.port, #"{"all":true,"data":"2"}"#).text.contains(#""nodes":1"#))
            #expect(await first.receives(1))
            #expect(await second.receives(1))
            #expect(first.data == ["1"] && second.data == ["2"])
        }
    }
}
