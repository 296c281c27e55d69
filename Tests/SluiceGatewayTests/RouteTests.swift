// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    @Suite("answers HTTP requests")
    struct RouteTests {
        private struct Refusal {
            let status: Int
            let code: String
            let method: String
            let target: String
            var headers: [String: String] = [:]
            var body: String?
            var allow: String?
        }

        private static let json = ["Content-Type": "application/json"]

        private static let refusals: [Refusal] = [
            Refusal(status: 404, code: "not_found", method: "GET", target: "/nothing"),
            Refusal(status: 404, code: "not_found", method: "GET", target: "/metrics"),
            Refusal(status: 404, code: "not_found", method: "GET", target: "/events//"),
            Refusal(status: 404, code: "not_found", method: "GET", target: "/events/a"),
            Refusal(
                status: 405, code: "method_not_allowed", method: "POST", target: "/events?topic=a",
                allow: "GET, HEAD, OPTIONS"),
            Refusal(
                status: 405, code: "method_not_allowed", method: "DELETE", target: "/", allow: "GET, HEAD, OPTIONS"),
            Refusal(status: 405, code: "method_not_allowed", method: "GET", target: "/publish", allow: "POST, OPTIONS"),
            Refusal(
                status: 405, code: "method_not_allowed", method: "PUT", target: "/push", allow: "GET, POST, OPTIONS"),
            Refusal(
                status: 405, code: "method_not_allowed", method: "POST", target: "/healthz", allow: "GET, HEAD, OPTIONS"
            ),
            Refusal(status: 400, code: "bad_request", method: "GET", target: "/events?topic="),
            Refusal(status: 400, code: "bad_request", method: "GET", target: "/events?topic=a+b"),
            Refusal(status: 400, code: "bad_request", method: "GET", target: "/events?topic=a%0Ab"),
            Refusal(status: 400, code: "bad_request", method: "GET", target: "/events?topic=a%7Bb"),
            Refusal(status: 400, code: "bad_request", method: "GET", target: "/events?topic=%FF"),
            Refusal(status: 400, code: "bad_request", method: "GET", target: "/events?topic=%zz"),
            Refusal(status: 400, code: "bad_request", method: "GET", target: "/events?topic=%E2%80%A8"),
            Refusal(
                status: 400, code: "bad_request", method: "GET",
                target: "/events?topic=\(String(repeating: "a", count: 256))"),
            Refusal(status: 400, code: "bad_request", method: "GET", target: "/events?client=a&client=b"),
            Refusal(status: 400, code: "bad_request", method: "GET", target: "/events?client="),
            Refusal(status: 400, code: "bad_request", method: "GET", target: "/events?topic=a&checkpoints=maybe"),
            Refusal(
                status: 400, code: "bad_request", method: "GET",
                target: "/events?" + (0...100).map { "topic=t\($0)" }.joined(separator: "&")),
            Refusal(status: 400, code: "bad_request", method: "GET", target: "/sse?client_id="),
            Refusal(status: 400, code: "bad_request", method: "GET", target: "/push?client_id=c"),
            Refusal(status: 400, code: "bad_request", method: "GET", target: "/push?message=m"),
            Refusal(status: 400, code: "bad_request", method: "POST", target: "/publish", headers: json, body: ""),
            Refusal(status: 400, code: "bad_request", method: "POST", target: "/publish", headers: json, body: "[]"),
            Refusal(
                status: 415, code: "unsupported_media_type", method: "POST", target: "/publish",
                headers: ["Content-Type": "text/plain"], body: #"{"topic":"a","data":""}"#),
            Refusal(
                status: 413, code: "payload_too_large", method: "POST", target: "/publish", headers: json,
                body: #"{"topic":"a","data":"\#(String(repeating: "x", count: 4097))"}"#),
            Refusal(
                status: 413, code: "payload_too_large", method: "POST", target: "/publish", headers: json,
                body: String(repeating: " ", count: 16385)),
            Refusal(
                status: 413, code: "payload_too_large", method: "POST", target: "/push?client_id=c",
                body: "message=" + String(repeating: "x", count: 4097)),
            Refusal(
                status: 414, code: "uri_too_long", method: "GET",
                target: "/events?topic=a&x=\(String(repeating: "x", count: 32768))"),
            Refusal(
                status: 431, code: "headers_too_large", method: "GET", target: "/",
                headers: ["X-Long": String(repeating: "x", count: 17000)]),
            Refusal(
                status: 431, code: "headers_too_large", method: "GET", target: "/",
                headers: Dictionary(uniqueKeysWithValues: (0..<110).map { ("X-\($0)", "x") })),
        ]

        @Test(
            "Every refusal has its status, a JSON body that says why, and is never an event stream",
            .timeLimit(.minutes(2)), arguments: BrokerKind.allCases)
        func refusals(broker: BrokerKind) async throws {
            let test = try await TestNode.start(broker, ["--max-body", "16KiB", "--max-event", "4KiB"])
            for refusal in RouteTests.refusals {
                let name = "\(refusal.method) \(refusal.target.prefix(60)) \(refusal.body?.prefix(40) ?? "")"
                let answer = try await request(
                    test.port, refusal.method, refusal.target, headers: refusal.headers,
                    body: refusal.body.map { Array($0.utf8) })
                #expect(answer.status == refusal.status, "\(name): \(answer.text)")
                #expect(answer["Content-Type"] == "application/json", "\(name)")
                #expect(answer.json?["error"] as? String == refusal.code, "\(name): \(answer.text)")
                #expect((answer.json?["message"] as? String)?.isEmpty == false, "\(name): \(answer.text)")
                #expect(answer["Allow"] == refusal.allow, "\(name)")
                try expectCommonHeaders(answer, of: test.node, "\(name)")
            }
        }

        private func expectCommonHeaders(_ answer: HTTPAnswer, of node: NodeProcess, _ name: String) throws {
            #expect(answer["Sluice-Node"] == node.id, "\(name)")
            #expect(answer.all("Access-Control-Allow-Origin") == ["*"], "\(name)")
            #expect(answer["X-Content-Type-Options"] == "nosniff", "\(name)")
            let cache = try #require(answer["Cache-Control"], "\(name)")
            #expect(cache.contains("no-store") || cache == "no-cache", "\(name)")
        }

        @Test("A body that grows over the limit without saying so beforehand is a 413", .timeLimit(.minutes(1)))
        func chunkedBodyTooLarge() async throws {
            let test = try await TestNode.start(.memory, ["--max-body", "4KiB"])
            let connection = try await HTTPConnection(port: test.port)
            let chunk = "800\r\n\(String(repeating: " ", count: 0x800))\r\n"
            try await connection.send(
                "POST /publish HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + String(repeating: chunk, count: 4) + "0\r\n\r\n")
            let answer = try await connection.receive()
            #expect(answer.status == 413)
            #expect(answer["Connection"] == "close")
            #expect(try await connection.isEnded())
        }

        @Test(
            "What is not HTTP gets a 400 in JSON, another version a 505, and then the connection ends",
            .timeLimit(.minutes(1)))
        func notHTTP() async throws {
            let test = try await TestNode.start(.memory)
            let cases: [(String, Int)] = [
                ("hello, is anybody there?\r\n\r\n", 400), ("\u{16}\u{3}\u{1}\u{2}garbage\r\n\r\n", 400),
                ("GET / HTTP/1.1\r\nContent-Length: 5, 6\r\n\r\n", 400),
                ("GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
                ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
                ("GET events HTTP/1.1\r\nHost: a\r\n\r\n", 400), ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
            ]
            for (text, status) in cases {
                let connection = try await HTTPConnection(port: test.port)
                try await connection.send(text)
                let answer = try await connection.receive()
                #expect(answer.status == status, "\(text): \(answer.text)")
                #expect(answer["Content-Type"] == "application/json", "\(text)")
                #expect(try await connection.isEnded(), "\(text)")
            }
            #expect(try await request(test.port, "GET", "/healthz").status == 200)
        }

        @Test(
            "Publishing while Redis is away is a 503 in JSON that says when to try again, and not for ever",
            .timeLimit(.minutes(1)))
        func redisAway() async throws {
            let redis = try await RedisServer()
            let node = try await NodeProcess(redis: redis)
            #expect(try await publish(node.port, #"{"topic":"a","data":"1"}"#).status == 200)
            await redis.kill()
            let isRefused = await eventually {
                let answer = try await publish(node.port, #"{"topic":"a","data":"2"}"#)
                return answer.status == 503 && answer.json?["error"] as? String == "unavailable"
                    && answer["Retry-After"] != nil && answer["Content-Type"] == "application/json"
            }
            #expect(isRefused)
            #expect(try await request(node.port, "GET", "/healthz").status == 200)
            let isUnready = await eventually(within: 15) {
                try await request(node.adminPort, "GET", "/readyz").status == 503
            }
            #expect(isUnready)
            // As Kubernetes asks: all nodes are without it, and who comes may as well wait here.
            #expect(try await request(node.adminPort, "GET", "/readyz?exclude=redis").text == "ready\n")
            #expect(try await request(node.port, "GET", "/readyz?exclude=etcd").status == 503)
            let again = try await RedisServer(port: redis.port)
            let isBack = await eventually(within: 15) {
                let isReady = try await request(node.port, "GET", "/readyz").status == 200
                return try await publish(node.port, #"{"topic":"a","data":"3"}"#).status == 200 && isReady
            }
            #expect(isBack)
            withExtendedLifetime(again) {}
        }

        @Test(
            "A node starts while Redis is away, says that it is not ready, and opens streams all the same",
            .timeLimit(.minutes(1)))
        func startsWithoutRedis() async throws {
            let port = freePort()
            let node = try await NodeProcess(["--redis", "redis://127.0.0.1:\(port)"])
            #expect(try await request(node.port, "GET", "/readyz").status == 503)
            // Or a deploy with a wrong --redis would go on.
            #expect(try await request(node.port, "GET", "/readyz?exclude=redis").status == 503)
            let stream = try await EventStreamClient.opened(port: node.port, "/events?topic=a")
            let redis = try await RedisServer(port: port)
            // The checkpoint says that it is attached now.
            #expect(await stream.waits { $0.events.first?.type == "checkpoint" })
            #expect(try await publish(node.port, #"{"topic":"a","data":"late"}"#).status == 200)
            #expect(await stream.receives(1))
            #expect(stream.now.openings == 1)
            withExtendedLifetime(redis) {}
        }
    }
}
