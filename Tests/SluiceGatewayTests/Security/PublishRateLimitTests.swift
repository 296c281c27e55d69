// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    @Suite("limits publishing")
    struct PublishRateLimitTests {
        private let event = #"{"topic":"news","data":"x"}"#

        private func publisher(_ name: String) async throws -> String {
            try await Token(sub: name, sluice: .init(publish: ["*"])).signed()
        }

        @Test(
            "No token publishes more than --publish-rate, in the fourth second as in the first; another is not held up",
            .timeLimit(.minutes(1)))
        func rate() async throws {
            let rate = 5
            let guarded = try await GuardedNode(["--publish-rate", "\(rate)"])
            let greedy = try await publisher("greedy")
            let modest = try await publisher("modest")
            let start = ContinuousClock.now
            var published = 0
            var refused = 0
            for second in 1...4 {
                while ContinuousClock.now - start < .seconds(second) {
                    let answer = try await guarded.publish(event, greedy)
                    if answer.status == 200 {
                        published += 1
                    } else {
                        refused += 1
                        #expect(answer.status == 429)
                        #expect(answer.json?["error"] as? String == "too_many_requests")
                        #expect(answer["Retry-After"] == "1")
                    }
                    try await Task.sleep(for: .milliseconds(20))
                }
                let elapsed = (ContinuousClock.now - start) / .seconds(1)
                #expect(Double(published) <= Double(rate) * (elapsed + 1) + 1, "second \(second)")
                #expect(published >= rate * second, "second \(second)")
                #expect(try await guarded.publish(event, modest).status == 200, "second \(second)")
            }
            #expect(refused > 0)
            #expect(try await guarded.node.metric("publishes_limited_total") == refused)
            try await Task.sleep(for: .seconds(1))
            #expect(try await guarded.publish(event, greedy).status == 200)
        }

        @Test(
            "Every event counts, whichever way it comes: to several targets, in lines, by /push",
            .timeLimit(.minutes(1)))
        func everyEventCounts() async throws {
            let guarded = try await GuardedNode(["--publish-rate", "4"])
            let token = try await publisher("lines")
            let lines = try await request(
                guarded.port, "POST", "/publish",
                headers: GuardedNode.bearer(token).merging(["Content-Type": "application/x-ndjson"]) { $1 },
                body: Array(String(repeating: event + "\n", count: 10).utf8))
            #expect(lines.status == 200)
            let results = lines.text.split(separator: "\n")
            #expect(results.count == 10)
            #expect(results.prefix(4).allSatisfy { $0.contains("\"id\":") })
            #expect(results.dropFirst(4).allSatisfy { $0.contains("\"error\":\"too_many_requests\"") })
            #expect(try await guarded.publish(event, token).status == 429)
            let push = try await request(
                guarded.port, "GET", "/push?client_id=a&message=m", headers: GuardedNode.bearer(token))
            #expect(push.status == 429)

            // More than a second's worth at once is owed: afterwards it is waited for.
            let other = try await publisher("several")
            let targets = (0..<8).map { "\"t\($0)\"" }.joined(separator: ",")
            #expect(try await guarded.publish("{\"topics\":[\(targets)],\"data\":1}", other).status == 200)
            let refused = try await guarded.publish(event, other)
            #expect(refused.status == 429)
            // What is owed takes a second; the next event's own share is taken with it, or not.
            #expect(["1", "2"].contains(refused["Retry-After"]))
            try await Task.sleep(for: .seconds(2))
            #expect(try await guarded.publish(event, other).status == 200)
        }

        @Test("0 is no limit", .timeLimit(.minutes(1)))
        func noLimit() async throws {
            let guarded = try await GuardedNode(["--publish-rate", "0"])
            let token = try await publisher("anybody")
            for _ in 0..<50 { #expect(try await guarded.publish(event, token).status == 200) }
        }
    }
}
