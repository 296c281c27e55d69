// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    /// A user of Redis who may `PUBLISH` to one topic and nothing else, doing its worst for some seconds: it costs its
    /// own topic, and a share of the processor, but nobody else an event.
    @Suite("is not harmed by a publisher to one topic", .timeLimit(.minutes(2)))
    struct HostilePublisherTests {
        enum Attack: String, CaseIterable, Sendable {
            case predecessors, idsJustAhead, idsFarAhead, longSequences, oldIDs, newlines, malformed, plain, ends
        }

        private static func payload(_ attack: Attack, _ number: Int) -> [UInt8] {
            let now = UInt64(Date().timeIntervalSince1970 * 1000)
            let text =
                switch attack {
                case .predecessors: "\u{1E}1 \(now)-\(2 * number + 2) \(now)-\(2 * number + 1)\n\nforged"
                case .idsJustAhead: "\u{1E}1 \(now + 90)-999999999999999 -\n\nforged"
                case .idsFarAhead: "\u{1E}1 \(now + 55_000)-0 \(now + 54_000)-0\n\nforged"
                case .longSequences: "\u{1E}1 \(now)-18446744073709551615 -\n\nforged"
                case .oldIDs: "\u{1E}1 \(number + 1)-0 \(number)-0\n\nforged"
                case .newlines: String(repeating: "\n", count: 100_000)
                case .malformed: "\u{1E}1 \(number) \(number)\nevent: a\rb\n\nforged"
                case .plain: String(repeating: "x", count: 10_000)
                case .ends: "\u{1E}1 \(now)-\(number) -\nend\n\nforged"
                }
            return Array(text.utf8)
        }

        @Test(
            "Others' events all arrive, each once, with a clock that is not ahead, few lines and bounded memory",
            arguments: Attack.allCases)
        func worst(attack: Attack) async throws {
            let redis = try await RedisServer()
            let node = try await NodeProcess(redis: redis, ["--ring", "1MiB"])
            try await redis.cli(
                "ACL", "SETUSER", "p", "on", ">p", "resetkeys", "resetchannels", "-@all", "+publish", "&sluice:topic:t")
            let hostile = try await RedisClient(redis)
            try await hostile.command("AUTH", "p", "p")
            let victim = try await EventStreamClient.opened(port: node.port, "/events?topic=honest")
            // It listens to the topic, and reads nothing of what comes: its socket is full at once.
            let listener = try await RawSocket(port: node.port)
            try await listener.send("GET /events?topic=t&topic=honest HTTP/1.1\r\nHost: x\r\n\r\n")
            let honest = try await RedisClient(redis)
            try await Task.sleep(for: .seconds(2.5))
            let memory = node.memory
            let born = try await redis.cli("HGET", "sluice:clock", "born")
            let end = Date(timeIntervalSinceNow: 4)
            var number = 0
            var published = 0
            while Date() < end {
                let size = attack == .newlines ? 5 : 50
                try await hostile.pipeline(
                    (0..<size).map {
                        [
                            Array("PUBLISH".utf8), Array("sluice:topic:t".utf8),
                            HostilePublisherTests.payload(attack, number + $0),
                        ]
                    })
                number += size
                published += 1
                try await honest.command("FCALL", "sluice_publish", "1", "sluice:topic:honest", "\(published)")
                try await Task.sleep(for: .milliseconds(10))
            }
            #expect(await victim.receives(published, within: 30))
            #expect(victim.data == (1...published).map(String.init))
            #expect(victim.now.openings == 1 && !victim.now.events.contains { $0.type == "gap" })
            // A forged id moves nobody's clock.
            let ids = victim.now.messages.map(\.id).compactMap { $0.split(separator: "-").first.flatMap { UInt64($0) } }
            #expect(ids.allSatisfy { $0 <= UInt64(Date().timeIntervalSince1970 * 1000) })
            let clock = try await redis.cli("HGET", "sluice:clock", "last").split(separator: "-")
            let last = try #require(clock.first.flatMap { Int64($0) })
            let ahead = last - Int64(Date().timeIntervalSince1970 * 1000)
            #expect(ahead <= 100)
            // Nor does it make the nodes believe that Redis has lost its data.
            #expect(try await redis.cli("HGET", "sluice:clock", "born") == born)
            #expect(node.output.split(separator: "\n").count < 12, "\(node.output)")
            #expect(node.memory - memory < 64 << 20)
            #expect(try await node.metric("repairs_total") <= 5)
            #expect(try await request(node.port, "GET", "/readyz").status == 200)
        }

        @Test(
            "Redis is asked to send no more of a topic that brings more than --topic-bytes; others wait for nothing, and what was logged comes later"
        )
        func loudTopic() async throws {
            let redis = try await RedisServer()
            let node = try await NodeProcess(redis: redis, ["--topic-bytes", "1MiB"])
            let client = try await RedisClient(redis)
            let stream = try await EventStreamClient.opened(port: node.port, "/events?topic=loud&topic=quiet")
            let large = [UInt8](repeating: 0x78, count: 100_000)
            try await client.publish("sluice:topic:loud", large)
            #expect(await stream.receives(1))
            for _ in 0..<30 { try await client.publish("sluice:topic:loud", large) }
            #expect(await eventually { try await node.metric("targets_paused_total") == 1 })
            #expect(await eventually { try await redis.cli("PUBSUB", "NUMSUB", "sluice:topic:loud").hasSuffix("0") })
            #expect(stream.data.count <= 11, "a second's worth, and no more")
            try await client.command("FCALL", "sluice_publish", "1", "sluice:topic:loud", "logged")
            try await client.command("FCALL", "sluice_publish", "1", "sluice:topic:quiet", "at once")
            #expect(await stream.waits { $0.messages.last?.data == "at once" })
            #expect(
                await eventually(within: 20) {
                    try await redis.cli("PUBSUB", "NUMSUB", "sluice:topic:loud").hasSuffix("1")
                })
            #expect(await stream.waits { $0.messages.last?.data == "logged" })
            #expect(stream.now.openings == 1)
            #expect(stream.now.events.contains { $0.type == "gap" })
        }
    }
}
