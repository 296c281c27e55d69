// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    @Suite("lets no name reach another key of Redis")
    struct HostileNamesTests {
        /// Legal, however odd they look.
        private static let legal = [
            "*", "?", "[a-z]", "\\*", "news*", "x:last:topic:y", "x:node:y", ":topic:", "topic:a", "client:a", "all",
            "clock",
            "last:topic:a", "once:topic:a:t", "..", "../../etc/passwd", "a/b", "'", "\"", "\\r\\n", "%0d%0a",
            "$(reboot)", "`id`",
            "FLUSHALL", "-1", "\u{1F600}", "\u{FEFF}a", "ä", "a\u{308}", "sluice:all", "--",
            String(repeating: "a", count: 255),
            String(repeating: "ä", count: 127),
        ]

        /// Percent-encoded, because some are no text.
        private static let illegal = [
            "", "%00", "a%00b", "a%0D%0AFLUSHALL%0D%0A", "%0A", "%09", "a%20b", "a+b", "%7Ba%7D", "%7B", "a%7D",
            "%C2%85", "%C2%A0",
            "%E2%80%A8", "%E3%80%80", "%FF", "%C3%28", "%ED%A0%80", "%7F", String(repeating: "a", count: 256),
            String(repeating: "%C3%A4", count: 128),
        ]

        private func encoded(_ name: String) -> String {
            name.utf8.map { byte in
                let hex = String(byte, radix: 16, uppercase: true)
                return "%" + (hex.count < 2 ? "0" : "") + hex
            }.joined()
        }

        /// As bytes: Swift holds "ä" in its two forms for equal, Redis does not.
        private func words(_ client: RedisClient, _ command: String...) async throws -> Set<[UInt8]> {
            // No legal name has a space.
            let reply = try await client.pipeline([command.map { Array($0.utf8) }])[0]
            return Set(reply.utf8.split(separator: UInt8(ascii: " ")).map { Array($0) })
        }

        /// What a node keeps of its own.
        private static func own(_ node: NodeProcess) -> [String] {
            ["sluice:clock", "sluice:nodes", "sluice:node:\(node.id)"]
        }

        @Test(
            "Each name has its own channel and keys, and no other is touched", .timeLimit(.minutes(1)),
            arguments: ["topic", "client"])
        func legal(kind: String) async throws {
            let redis = try await RedisServer()
            let node = try await NodeProcess(redis: redis)
            let client = try await RedisClient(redis)
            let plain = try await words(client, "PUBSUB", "CHANNELS")
            #expect(plain.count == 3, "everybody, the node's own and control: \(plain)")
            for name in HostileNamesTests.legal {
                let stream = try await EventStreamClient.opened(port: node.port, "/events?\(kind)=\(encoded(name))")
                let answer = try await publish(
                    node.port, "{\"\(kind)\":\(try quoted(name)),\"data\":\(try quoted(name))}")
                #expect(answer.status == 200, "\(name): \(answer.text)")
                #expect(await stream.receives(1), "\(name)")
                #expect(stream.data == [name])
                let knock = try await Knock(node.port, "/sse?client_id=\(encoded(name))")
                #expect(knock.fate == .stream)
                knock.close()
                stream.close()
            }
            let names = HostileNamesTests.legal
            let keys = names.flatMap { ["sluice:\(kind):\($0)", "sluice:last:\(kind):\($0)"] } + Self.own(node)
            #expect(try await words(client, "KEYS", "*") == Set(keys.map { Array($0.utf8) }))
            let channels = names.flatMap { ["sluice:\(kind):\($0)", "sluice:client:\($0)"] }
            let open = try await words(client, "PUBSUB", "CHANNELS").subtracting(plain)
            #expect(open.isSubset(of: channels.map { Array($0.utf8) }))
            #expect(try await client.command("PUBSUB", "NUMPAT") == "0")
        }

        @Test(
            "A name that is none is a 400 on every route, and Redis never hears of it", .timeLimit(.minutes(1)))
        func illegal() async throws {
            let redis = try await RedisServer()
            let node = try await NodeProcess(redis: redis)
            let client = try await RedisClient(redis)
            let monitor = try await RawSocket(port: redis.port)
            try await monitor.send("MONITOR\r\n")
            #expect(await eventually { try await client.command("CLIENT", "LIST").contains("cmd=monitor") })
            for name in HostileNamesTests.illegal {
                for (method, target) in [
                    ("GET", "/events?topic=\(name)"), ("GET", "/events?client=\(name)"),
                    ("GET", "/sse?client_id=\(name)"),
                    ("GET", "/push?client_id=\(name)&message=m"), ("DELETE", "/clients/\(name)"),
                ] where !(method == "DELETE" && name == "a+b") {
                    #expect(try await Knock(node.port, target, method: method).fate == .answered(400), "\(target)")
                }
                guard let text = name.replacing("+", with: " ").removingPercentEncoding else { continue }
                for member in ["topic", "client"] {
                    let answer = try await publish(node.port, "{\"\(member)\":\(try quoted(text)),\"data\":\"x\"}")
                    #expect(answer.status == 400, "\(member) \(name)")
                }
            }
            #expect(try await words(client, "KEYS", "*").isSubset(of: Self.own(node).map { Array($0.utf8) }))
            let heard = String(decoding: heard(by: monitor), as: UTF8.self)
            #expect(!heard.contains("sluice_publish"), "\(heard)")
            #expect(!heard.contains("sluice:topic:") && !heard.contains("sluice:client:"), "\(heard)")
        }

        /// Everything that the monitor was told by now.
        private func heard(by monitor: RawSocket) -> [UInt8] {
            var bytes: [UInt8] = []
            while case .bytes(let more) = monitor.read() { bytes += more }
            return bytes
        }

        @Test(
            "A cursor is never more than a cursor: what is sent as one reaches no command", .timeLimit(.minutes(1)))
        func cursors() async throws {
            let redis = try await RedisServer()
            let node = try await NodeProcess(redis: redis)
            #expect(try await publish(node.port, #"{"topic":"a","data":"1"}"#).status == 200)
            for cursor in ["*", "$", "-", "+", "(1-1", "1-1%0D%0AFLUSHALL", "0-0%20COUNT%200", "sluice:clock", "1-1-1"]
            {
                let stream = try await EventStreamClient.opened(
                    port: node.port, "/events?topic=a&last_event_id=\(cursor)")
                #expect(await stream.waits { $0.events.first?.type == "gap" }, "\(cursor)")
                #expect(stream.data.isEmpty)
            }
        }
    }
}
