// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    @Suite("keeps secrets out of its log")
    struct SecretsInLogsTests {
        /// In everything that is sent.
        private static let marker = "TRACER5f1d"

        @Test(
            "Tokens, queries, cookies, headers and payloads are not in the log, whatever its level and whatever goes wrong",
            .timeLimit(.minutes(1)), arguments: ["text", "json"])
        func nothingLeaks(format: String) async throws {
            let redis = try await RedisServer()
            let guarded = try await GuardedNode(
                redis: redis,
                [
                    "--log-level", "trace", "--log-format", format, "--host", "a.example", "--max-body", "64KiB",
                    "--max-event", "8KiB", "--publish-rate", "3",
                ])
            let marker = SecretsInLogsTests.marker
            let good = try await Token(sub: marker, aud: Visitor.audience).signed()
            let listener = try await Knock(
                guarded.port, "/events?topic=news&client=a&x=\(marker)",
                headers: [("Host", "a.example"), ("Authorization", "Bearer \(good)"), ("Last-Event-ID", marker)])
            #expect(listener.fate == .stream)
            let tokens = [
                good, marker, "\(marker).\(marker).\(marker)",
                try await Token(sub: marker, exp: Date() - 3600).signed(),
                try await Token(sub: marker).signed(by: "\(marker) is not the key of this node, but long enough"),
                try await Token(sub: marker, iss: marker).signed(),
            ]
            for token in tokens { try await knockEverywhere(guarded.port, token) }

            // From Redis: what does not parse, what is too large, and orders that are none.
            let client = try await RedisClient(redis)
            for payload in [
                marker, "\u{1E}2 \(marker)", "\u{1E}1 9-9 \(marker)\nevent: \(marker)\n", "\u{1E}\(marker)",
            ] {
                for channel in ["sluice:topic:news", "sluice:client:a", "sluice:all"] {
                    try await client.publish(channel, Array(payload.utf8))
                }
            }
            try await client.publish("sluice:topic:news", Array(String(repeating: marker, count: 1000).utf8))
            #expect(
                await eventually { try await guarded.node.metric("events_dropped_total{reason=\"malformed\"}") > 0 })

            // And while Redis is away.
            await redis.kill()
            #expect(await eventually { guarded.node.output.contains("Redis") })
            try await knockEverywhere(guarded.port, good)
            guarded.node.signal(SIGTERM)
            listener.close()
            #expect(await guarded.node.exitCode(within: 30) == 0)
            #expect(guarded.node.output.contains("draining"))
            let leaks = guarded.node.output.split(separator: "\n").filter { $0.contains(marker) }
            #expect(leaks.isEmpty)
        }

        /// Every way to bring a token, with every kind of answer.
        private func knockEverywhere(_ port: Int, _ token: String) async throws {
            let marker = SecretsInLogsTests.marker
            let payload = #"{"topic":"news","data":"\#(marker)","event":"\#(marker)"}"#
            let bodies: [String] = [payload, "{\"\(marker)\":1}", marker, payload + "\n" + payload]
            let ways: [(headers: [(String, String)], query: String)] = [
                ([("Authorization", "Bearer \(token)")], ""), ([("Cookie", "a=\(marker); sluice_token=\(token)")], ""),
                ([], "&token=\(token)"), ([], "&access_token=\(token)"),
            ]
            for way in ways {
                for host in ["a.example", "\(marker).example"] {
                    let headers =
                        way.headers + [
                            ("Host", host), ("Referer", "https://a.example/\(marker)"), ("X-Secret", marker),
                            ("User-Agent", marker), ("X-Forwarded-For", marker), ("Last-Event-ID", marker),
                        ]
                    for target in [
                        "/events?topic=news&x=\(marker)", "/events?topic=%zz\(marker)", "/\(marker)?a=\(marker)",
                        "/push?client_id=a&message=\(marker)", "/sse?client_id=b&x=\(marker)",
                    ] {
                        try await Knock(port, target + way.query, headers: headers).close()
                    }
                    for (index, body) in bodies.enumerated() {
                        try await Knock(
                            port, "/publish?x=\(marker)\(way.query)", method: "POST",
                            headers: headers + [
                                ("Content-Type", index == 3 ? "application/x-ndjson" : "application/json")
                            ], body: Array(body.utf8)
                        ).close()
                    }
                    try await Knock(
                        port, "/clients/a%00\(marker)?x=\(marker)\(way.query)", method: "DELETE", headers: headers
                    ).close()
                }
            }
            // What is no HTTP at all.
            let socket = try await RawSocket(port: port)
            try await socket.send("\(marker) \(marker)\r\n\(marker)\r\n\r\n")
            _ = try await socket.receiveAll()
        }
    }
}
