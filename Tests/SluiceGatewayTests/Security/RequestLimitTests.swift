// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    @Suite("limits requests")
    struct RequestLimitTests {
        private typealias Asked = (method: String, target: String, headers: [(String, String)], body: String?)

        private struct Limit: Sendable {
            let setting: String
            let value: String
            let status: Int
            let code: String
            /// A request of exactly so much, or of as much more as the number says.
            let make: @Sendable (_ excess: Int) -> Asked
        }

        private static let json = [("Content-Type", "application/json")]

        private static func publish(_ bytes: Int) -> String {
            #"{"topic":"a","data":"\#(String(repeating: "x", count: bytes))"}"#
        }

        private static func padded(_ text: String, to count: Int) -> String {
            text + String(repeating: "x", count: count - text.utf8.count)
        }

        private static let limits: [Limit] = [
            Limit(setting: "--max-topics", value: "3", status: 400, code: "bad_request") { excess in
                let topics = (0..<3 + excess).map { "topic=t\($0)" }.joined(separator: "&")
                return ("GET", "/events?\(topics)", [], nil)
            },
            Limit(setting: "--max-event", value: "500B", status: 413, code: "payload_too_large") { excess in
                ("POST", "/publish", json, publish(500 + excess))
            },
            Limit(setting: "--max-event", value: "500B", status: 413, code: "payload_too_large") { excess in
                ("POST", "/push", [], "client_id=a&message=" + String(repeating: "x", count: 500 + excess))
            },
            Limit(setting: "--max-body", value: "1KiB", status: 413, code: "payload_too_large") { excess in
                ("POST", "/publish", json, publish(1) + String(repeating: " ", count: 1024 - publish(1).count + excess))
            },
            Limit(setting: "--max-lines", value: "4", status: 413, code: "payload_too_large") { excess in
                let lines = String(repeating: publish(1) + "\n", count: 4 + excess)
                return ("POST", "/publish", [("Content-Type", "application/x-ndjson")], lines)
            },
            Limit(setting: "--max-targets", value: "3", status: 400, code: "bad_request") { excess in
                let topics = (0..<3 + excess).map { "\"t\($0)\"" }.joined(separator: ",")
                return ("POST", "/publish", json, #"{"topics":[\#(topics)],"data":1}"#)
            },
            Limit(setting: "--max-log-events", value: "2000", status: 400, code: "bad_request") { excess in
                ("POST", "/publish", json, #"{"topic":"t","data":1,"maxlen":\#(2000 + excess)}"#)
            },
            Limit(setting: "--max-log-ttl", value: "2h", status: 400, code: "bad_request") { excess in
                ("POST", "/publish", json, #"{"topic":"t","data":1,"ttl":\#(7200 + excess)}"#)
            },
            Limit(setting: "--max-target", value: "300B", status: 414, code: "uri_too_long") { excess in
                ("GET", padded("/events?topic=a&x=", to: 300 + excess), [], nil)
            },
            // The name counts, too.
            Limit(setting: "--max-header", value: "400B", status: 431, code: "headers_too_large") { excess in
                ("GET", "/healthz", [("X-Long", String(repeating: "x", count: 350 + 100 * excess))], nil)
            },
            Limit(setting: "--max-headers", value: "40KiB", status: 431, code: "headers_too_large") { excess in
                let field = String(repeating: "x", count: 990)
                return ("GET", "/healthz", (0..<36 + 8 * excess).map { ("X-\($0)", field) }, nil)
            },
            // With the Host.
            Limit(setting: "--max-header-count", value: "10", status: 431, code: "headers_too_large") { excess in
                ("GET", "/healthz", (0..<9 + excess).map { ("X-\($0)", "x") }, nil)
            },
        ]

        @Test(
            "What a request may have at most is allowed, and one more is not, in the third second as in the first",
            .timeLimit(.minutes(2)))
        func hold() async throws {
            for limit in RequestLimitTests.limits {
                let node = try await NodeProcess([limit.setting, limit.value, "--threads", "1"])
                for second in 0..<3 {
                    for excess in [0, 1] {
                        let name = "\(limit.setting), second \(second), \(excess) too much"
                        let test = limit.make(excess)
                        let knock = try await Knock(
                            node.port, test.target, method: test.method, headers: test.headers,
                            body: test.body.map { Array($0.utf8) })
                        knock.close()
                        let answer = try #require(knock.answer, "\(name)")
                        #expect(answer.status == (excess == 0 ? 200 : limit.status), "\(name): \(answer.text)")
                        if excess > 0 { #expect(answer.json?["error"] as? String == limit.code, "\(name)") }
                    }
                    if second < 2 { try await Task.sleep(for: .milliseconds(500)) }
                }
                #expect(try await node.metric("requests_refused_total") == 3, "\(limit.setting)")
            }
        }

        @Test(
            "What comes from Redis over --max-event is dropped and counted, and the streams go on",
            .timeLimit(.minutes(1)))
        func oversizedEvents() async throws {
            let redis = try await RedisServer()
            let node = try await NodeProcess(redis: redis, ["--max-event", "1KiB"])
            let stream = try await EventStreamClient.opened(port: node.port, "/events?topic=a")
            #expect(await stream.waits { !$0.events.isEmpty })
            let client = try await RedisClient(redis)
            for round in 1...3 {
                try await client.publish("sluice:topic:a", [UInt8](repeating: 0x78, count: 1025))
                try await client.publish("sluice:topic:a", [UInt8](repeating: 0x78, count: 1024))
                #expect(await stream.receives(round))
                #expect(try await node.metric("events_dropped_total{reason=\"oversized\"}") == round)
            }
            #expect(stream.data.allSatisfy { $0.count == 1024 })
        }
    }
}
