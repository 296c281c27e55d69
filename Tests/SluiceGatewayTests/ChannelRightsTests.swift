// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    @Suite("asks again for channels that Redis refused", .timeLimit(.minutes(1)))
    struct ChannelRightsTests {
        private func node(_ redis: RedisServer, channels: String...) async throws -> NodeProcess {
            let client = try await RedisClient(redis)
            let rule = ["ACL", "SETUSER", "n", "on", ">p", "~*", "+@all", "resetchannels"] + channels
            try await client.pipeline([rule.map { Array($0.utf8) }])
            return try await NodeProcess(["--redis", "redis://n:p@127.0.0.1:\(redis.port)"])
        }

        @Test("A right that was granted is used within seconds, by streams that wait for it and by new ones")
        func granted() async throws {
            let redis = try await RedisServer()
            let node = try await node(redis, channels: "&sluice:all", "&sluice:node:*", "&sluice:control")
            let old = try await EventStreamClient.opened(port: node.port, "/events?topic=t&topic=u")
            #expect(await eventually { node.output.contains("Redis refuses channels") })
            try await redis.cli("ACL", "SETUSER", "n", "&sluice:topic:*")
            #expect(await eventually { try await redis.cli("PUBSUB", "NUMSUB", "sluice:topic:u").hasSuffix("1") })
            let new = try await EventStreamClient.opened(port: node.port, "/events?topic=u")
            try await redis.cli("FCALL", "sluice_publish", "1", "sluice:topic:u", "granted")
            #expect(await old.receives(1) && old.data == ["granted"])
            #expect(await new.receives(1))
            #expect(old.now.openings == 1)
        }

        @Test("However many are refused: a line a minute, one command a second for 512 of them, no others kept waiting")
        func many() async throws {
            let redis = try await RedisServer()
            let node = try await node(
                redis, channels: "&sluice:all", "&sluice:node:*", "&sluice:control", "&sluice:topic:good")
            var streams: [EventStreamClient] = []
            for number in 0..<12 {
                let topics = (0..<90).map { "topic=bad\(number).\($0)" }.joined(separator: "&")
                streams.append(try await EventStreamClient.opened(port: node.port, "/events?\(topics)"))
            }
            let good = try await EventStreamClient.opened(port: node.port, "/events?topic=good")
            try await redis.cli("FCALL", "sluice_publish", "1", "sluice:topic:good", "x")
            #expect(await good.receives(1))
            #expect(await eventually { node.output.contains("Redis refuses channels") })
            let client = try await RedisClient(redis)
            try await client.command("CONFIG", "RESETSTAT")
            let seconds = 4
            try await Task.sleep(for: .seconds(seconds))
            let stats = try await client.command("INFO", "commandstats")
            let calls = { (name: String) in
                stats.split(separator: "\r\n").first { $0.hasPrefix("cmdstat_\(name):calls=") }
                    .flatMap { Int($0.dropFirst("cmdstat_\(name):calls=".count).prefix { $0.isNumber }) } ?? 0
            }
            // 1080 names are three commands a second; a tick is another every two.
            #expect(calls("fcall") <= (seconds + 1) * 4 && calls("subscribe") == 0)
            #expect(node.output.ranges(of: "Redis refuses channels").count == 1)
            withExtendedLifetime(streams) {}
        }
    }
}
