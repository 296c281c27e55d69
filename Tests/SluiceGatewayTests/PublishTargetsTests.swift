// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    @Suite("tells a publisher what became of each target")
    struct PublishTargetsTests {
        private static let lines = ["Content-Type": "application/x-ndjson"]

        private func results(_ text: some StringProtocol) throws -> [String: [String: Any]] {
            let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
            let results = try #require(object?["results"] as? [[String: Any]], "\(text)")
            return Dictionary(uniqueKeysWithValues: results.map { ($0["to"] as? String ?? "", $0) })
        }

        @Test(
            "Where one of several targets can't have the event, the answer says which have it, and none is told to come again",
            .timeLimit(.minutes(1)))
        func partial() async throws {
            let test = try await TestNode.start(.redis)
            let redis = try #require(test.redis)
            try await redis.cli("SET", "sluice:topic:bad", "x")
            try await redis.cli("SET", "sluice:last:topic:worse", "x")
            try await redis.cli("DEL", "sluice:last:topic:worse")
            try await redis.cli("SADD", "sluice:last:topic:worse", "x")
            let json = #"{"topics":["a","bad","c","worse"],"data":"x"}"#
            let answer = try await publish(test.port, json)
            #expect(answer.status == 207)
            #expect(answer["Retry-After"] == nil)
            let told = try results(answer.text)
            for topic in ["topic:a", "topic:c"] { #expect(told[topic]?["id"] is String) }
            for topic in ["topic:bad", "topic:worse"] {
                #expect(told[topic]?["error"] as? String == "conflict")
                #expect(told[topic]?["id"] == nil)
            }
            let line = try await request(
                test.port, "POST", "/publish", headers: PublishTargetsTests.lines, body: Array((json + "\n").utf8))
            #expect(line.status == 200)
            #expect(try results(line.text).compactMapValues { $0["error"] as? String }.count == 2)
            #expect(try await redis.cli("XLEN", "sluice:topic:a") == "2")

            // As told: only what failed is sent again, and it ends.
            let again = try await publish(test.port, #"{"topics":["bad","worse"],"data":"x"}"#)
            #expect(again.status == 409)
            #expect(again.json?["error"] as? String == "conflict")
            #expect(again["Retry-After"] == nil)
            #expect(try await redis.cli("XLEN", "sluice:topic:a") == "2")
        }

        @Test(
            "What is too much for Redis' connection is refused whole, before the first is published",
            .timeLimit(.minutes(1)))
        func tooMuch() async throws {
            let test = try await TestNode.start(.redis, ["--publish-bytes", "0", "--publish-rate", "0"])
            let redis = try #require(test.redis)
            let data = String(repeating: "x", count: 1_000_000)
            let topics = (0..<100).map { "\"t\($0)\"" }
            func body(_ count: Int) -> String {
                #"{"topics":[\#(topics.prefix(count).joined(separator: ","))],"data":"\#(data)"}"#
            }
            let refused = try await publish(test.port, body(100))
            #expect(refused.status == 413)
            let lines = try await request(
                test.port, "POST", "/publish", headers: PublishTargetsTests.lines, body: Array((body(100) + "\n").utf8))
            #expect(lines.text.contains("payload_too_large"))
            #expect(try await redis.cli("KEYS", "sluice:topic:*").isEmpty)
            let taken = try await publish(test.port, body(30))
            #expect(taken.status == 200)
            #expect(try await redis.cli("EVAL", "return #redis.call('KEYS', 'sluice:topic:*')", "0") == "30")
        }

        @Test(
            "Once a line is refused for something that passes, so are all behind it: sent again, they are in order",
            .timeLimit(.minutes(1)))
        func order() async throws {
            let test = try await TestNode.start(.redis, ["--publish-rate", "500"])
            let redis = try #require(test.redis)
            var rest = (1...1200).map { #"{"topic":"t","data":\#($0),"maxlen":2000}"# }
            var rounds = 0
            while !rest.isEmpty, rounds < 100 {
                rounds += 1
                let answer = try await request(
                    test.port, "POST", "/publish", headers: PublishTargetsTests.lines,
                    body: Array(rest.joined(separator: "\n").utf8))
                let lines = answer.text.split(separator: "\n")
                #expect(lines.count == rest.count)
                let published = lines.prefix { $0.contains("\"results\"") }
                #expect(lines.dropFirst(published.count).allSatisfy { $0.contains("\"too_many_requests\"") })
                rest = Array(rest.dropFirst(published.count))
                if rest.isEmpty { break }
                #expect(answer["Retry-After"] == "1")
                try await Task.sleep(for: .milliseconds(300))
            }
            let log = try await redis.cli("XRANGE", "sluice:topic:t", "-", "+").split(separator: "\n")
            let data = zip(log, log.dropFirst()).filter { $0.0 == "d" }.map(\.1)
            #expect(data == (1...1200).map { Substring("\($0)") })
        }

        @Test(
            "Behind a line that Redis does not take now only those go on that were under way; the others are told to come again",
            .timeLimit(.minutes(1)))
        func halted() async throws {
            let test = try await TestNode.start(.redis)
            let redis = try #require(test.redis)
            try await redis.cli(
                "ACL", "SETUSER", "default", "resetkeys", "~sluice:topic:a", "~sluice:last:*", "~sluice:clock",
                "~sluice:node:*")
            let lines = (1...600).map { #"{"topic":"\#($0 == 2 ? "b" : "a")","data":\#($0)}"# }
            let answer = try await request(
                test.port, "POST", "/publish", headers: PublishTargetsTests.lines,
                body: Array(lines.joined(separator: "\n").utf8))
            let told = answer.text.split(separator: "\n")
            #expect(told.count == 600 && answer["Retry-After"] == "1")
            #expect(told.suffix(300).allSatisfy { $0.contains("\"unavailable\"") })
            let published = told.count { $0.contains("\"results\"") }
            #expect(try await redis.cli("XLEN", "sluice:topic:a") == "\(published)")
        }
    }

    @Suite("bounds what a publisher puts into Redis")
    struct PublishBudgetTests {
        @Test(
            "One token's bytes, once for each target, are bounded in each second; another token still publishes",
            .timeLimit(.minutes(1)))
        func bytes() async throws {
            let redis = try await RedisServer(arguments: ["--maxmemory", "64mb", "--maxmemory-policy", "noeviction"])
            let rate = 1 << 20
            let guarded = try await GuardedNode(
                redis: redis, ["--publish-bytes", "\(rate)", "--max-body", "\(rate)"])
            let greedy = try await Token(sub: "greedy", sluice: .init(publish: ["a*"])).signed()
            let modest = try await Token(sub: "modest", sluice: .init(publish: ["b"])).signed()
            func received() async throws -> Int {
                let info = try await redis.cli("INFO", "stats")
                return try #require(info.firstMatch(of: /total_net_input_bytes:(\d+)/).flatMap { Int($0.1) })
            }
            let data = String(repeating: "x", count: 60_000)
            let before = try await received()
            let start = ContinuousClock.now
            var statuses: [Int: Int] = [:]
            for round in 0..<60 {
                // One of 60 kB for 15 targets, one that is too much for a second.
                let count = round.isMultiple(of: 2) ? 15 : 500
                let topics = (0..<count).map { "\"a\(round)-\($0)\"" }.joined(separator: ",")
                let answer = try await guarded.publish(#"{"topics":[\#(topics)],"data":"\#(data)"}"#, greedy)
                statuses[answer.status, default: 0] += 1
                try await Task.sleep(for: .milliseconds(30))
            }
            let seconds = Int(((ContinuousClock.now - start) / .seconds(1)).rounded(.up))
            // A second's worth may be there at the beginning, and one request be owed.
            let bytes = try await received() - before
            #expect(bytes < rate * (seconds + 3), "\(bytes) in \(seconds) s")
            // The first passes; the bodies of those that are too much use up most of what comes after.
            #expect(bytes >= 15 * data.utf8.count)
            #expect(statuses[413, default: 0] + statuses[429, default: 0] + statuses[200, default: 0] == 60)
            #expect((statuses[200] ?? 0) > 0 && (statuses[413] ?? 0) > 0 && (statuses[429] ?? 0) > 0, "\(statuses)")
            #expect(try await guarded.publish(#"{"topic":"b","data":"x"}"#, modest).status == 200)
        }

        @Test(
            "A body that is refused has been work: its bytes count, in whatever form it comes", .timeLimit(.minutes(1)))
        func refusedBodies() async throws {
            let guarded = try await GuardedNode(["--publish-bytes", "2MiB", "--max-body", "1MiB"])
            let million = 1_000_000
            let bodies = [
                (
                    "/publish", "application/json",
                    #"{"topic":"t","other":"\#(String(repeating: "x", count: million))"}"#
                ),
                ("/publish", "application/x-ndjson", String(repeating: "{}\n", count: million / 3)),
                ("/push", "application/x-www-form-urlencoded", String(repeating: "a&", count: million / 2)),
            ]
            for (number, (target, type, body)) in bodies.enumerated() {
                let token = try await Token(sub: "\(number)", sluice: .init(publish: ["t"])).signed()
                let headers = GuardedNode.bearer(token).merging(["Content-Type": type]) { $1 }
                var statuses: [Int] = []
                for _ in 0..<4 {
                    statuses.append(
                        try await request(guarded.port, "POST", target, headers: headers, body: Array(body.utf8)).status
                    )
                }
                #expect((400...413).contains(statuses[0]), "\(target) \(type): \(statuses)")
                #expect(statuses.last == 429, "\(target) \(type): \(statuses)")
            }
        }

        @Test("Where there are no tokens an address has the budget", .timeLimit(.minutes(1)))
        func openMode() async throws {
            let node = try await NodeProcess(["--publish-rate", "3", "--proxy-protocol"])
            func statuses(_ address: String, _ count: Int) async throws -> [Int] {
                var statuses: [Int] = []
                for _ in 0..<count {
                    let body = #"{"topic":"t","data":1}"#
                    let socket = try await HTTPConnection(port: node.port)
                    try await socket.send(
                        "PROXY TCP4 \(address) 192.0.2.200 1 80\r\nPOST /publish HTTP/1.1\r\nHost: a\r\n"
                            + "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
                    statuses.append(try await socket.receive().status)
                }
                return statuses
            }
            let first = try await statuses("192.0.2.1", 30)
            #expect(first.prefix(3) == [200, 200, 200])
            #expect(first.contains(429))
            #expect(try await statuses("192.0.2.2", 1) == [200])
        }
    }
}
