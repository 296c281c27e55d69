// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    @Suite("speaks HTTP/1 as the standards have it")
    struct HTTPTests {
        @Test("HEAD answers as GET, without the body", .timeLimit(.minutes(1)))
        func head() async throws {
            let test = try await TestNode.start(.memory)
            for target in ["/", "/healthz", "/readyz"] {
                let whole = try await request(test.port, "GET", target)
                let head = try await request(test.port, "HEAD", target)
                #expect(head.status == 200, "\(target)")
                #expect(head["Content-Length"] == String(whole.body.count), "\(target)")
                #expect(head["Content-Type"] == whole["Content-Type"], "\(target)")
            }
            let stream = try await request(test.port, "HEAD", "/events?topic=a")
            #expect(stream.status == 200)
            #expect(stream["Content-Type"] == "text/event-stream; charset=utf-8")
            #expect(try await request(test.port, "HEAD", "/events?topic=").status == 400)
        }

        @Test("A preflight of a page from another origin is allowed", .timeLimit(.minutes(1)))
        func options() async throws {
            let test = try await TestNode.start(.memory)
            let allowed = [
                "/events": "GET, HEAD, OPTIONS", "/publish": "POST, OPTIONS", "/push": "GET, POST, OPTIONS",
                "/sse": "GET, HEAD, OPTIONS", "/": "GET, HEAD, OPTIONS",
            ]
            for (target, methods) in allowed {
                let answer = try await request(
                    test.port, "OPTIONS", target,
                    headers: ["Origin": "https://example.org", "Access-Control-Request-Method": "POST"])
                #expect(answer.status == 204, "\(target)")
                #expect(answer["Allow"] == methods, "\(target)")
                #expect(answer["Access-Control-Allow-Origin"] == "*", "\(target)")
                #expect(answer["Access-Control-Allow-Methods"]?.hasPrefix(methods) == true, "\(target)")
                let headers = try #require(answer["Access-Control-Allow-Headers"])
                for name in ["last-event-id", "authorization", "content-type", "cache-control"] {
                    #expect(headers.contains(name), "\(target)")
                }
                #expect(answer["Content-Length"] == nil, "\(target)")
            }
        }

        @Test("Requests that come in one packet are answered in order on one connection", .timeLimit(.minutes(1)))
        func pipelining() async throws {
            let test = try await TestNode.start(.memory)
            let connection = try await HTTPConnection(port: test.port)
            let json = #"{"topic":"a","data":"x"}"#
            try await connection.send(
                "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"
                    + "POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: \(json.utf8.count)\r\n\r\n\(json)"
                    + "HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
            var statuses: [Int] = []
            for method in ["GET", "GET", "POST", "HEAD", "GET"] {
                statuses.append(try await connection.receive(method: method).status)
            }
            #expect(statuses == [200, 404, 200, 200, 200])
            // Then a stream, on the same connection.
            try await connection.send("GET /events?topic=a&checkpoints=0 HTTP/1.1\r\nHost: a\r\n\r\n")
            let bytes = try #require(try await connection.socket.receive())
            #expect(
                String(decoding: bytes, as: UTF8.self)
                    .hasPrefix("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"))
        }

        @Test("A request is understood however its bytes are cut", .timeLimit(.minutes(1)))
        func splitRequest() async throws {
            let test = try await TestNode.start(.memory)
            let connection = try await HTTPConnection(port: test.port)
            let json = #"{"topic":"a","data":"ä€😀"}"#
            let text = "POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: \(json.utf8.count)\r\n\r\n\(json)"
            for byte in Array(text.utf8) {
                try await connection.send([byte])
                await Task.yield()
            }
            #expect(try await connection.receive().status == 200)
        }

        @Test("Expect: 100-continue is answered before the body comes, or refused at once", .timeLimit(.minutes(1)))
        func expectContinue() async throws {
            let test = try await TestNode.start(.memory, ["--max-body", "4KiB"])
            let json = #"{"topic":"a","data":"x"}"#
            let connection = try await HTTPConnection(port: test.port)
            try await connection.send(
                "POST /publish HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: \(json.utf8.count)\r\n\r\n"
            )
            #expect(try await connection.receive().status == 100)
            try await connection.send(json)
            #expect(try await connection.receive().status == 200)
            try await connection.send(
                "POST /publish HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n")
            #expect(try await connection.receive().status == 413)
        }

        @Test(
            "The absolute form of a target means the same, where it names the host that Host names",
            .timeLimit(.minutes(1)))
        func absoluteForm() async throws {
            let test = try await TestNode.start(.memory)
            func status(_ target: String, host: String) async throws -> Int {
                let connection = try await HTTPConnection(port: test.port)
                try await connection.send("GET \(target) HTTP/1.1\r\nHost: \(host)\r\n\r\n")
                return try await connection.receive().status
            }
            for target in [
                "http://example.org/healthz", "HTTP://example.org:80/healthz?x=1", "https://example.org/healthz",
            ] {
                let host = target.contains(":80") ? "example.org:80" : "example.org"
                #expect(try await status(target, host: host) == 200, "\(target)")
                #expect(try await status(target, host: "example.com") == 400, "\(target)")
            }
        }

        @Test(
            "HTTP/1.0 gets a stream without chunks that ends with its connection",
            .timeLimit(.minutes(1)), arguments: BrokerKind.allCases)
        func version10(broker: BrokerKind) async throws {
            let test = try await TestNode.start(broker, ["--lifetime", "2s", "--heartbeat", "300ms"])
            var options = EventStreamClient.Options()
            options.transport = .http10
            options.keepsBody = true
            let stream = try await test.stream("/events?topic=a&client=c", options)
            for number in 0..<3 {
                try await test.publish(#"{"topics":["a","b"],"clients":["c"],"data":"n\#(number)"}"#)
            }
            #expect(await stream.receives(6))
            #expect(stream.data == ["n0", "n0", "n1", "n1", "n2", "n2"])
            #expect(await stream.waits { $0.isOver })
            let now = stream.now
            #expect(now.cleanEnds == 1)
            #expect(now.answer?["Transfer-Encoding"] == nil)
            #expect(now.answer?["Content-Length"] == nil)
            #expect(now.answer?["Connection"] == "close")
            #expect(now.ignored.isEmpty)
            #expect(String(decoding: now.body, as: UTF8.self).contains(/\nretry: \d+\n$/))
        }

        @Test("HTTP/1.0 and Connection: close end the connection after the answer", .timeLimit(.minutes(1)))
        func closes() async throws {
            let test = try await TestNode.start(.memory)
            for text in [
                "GET /healthz HTTP/1.0\r\n\r\n", "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            ] {
                let connection = try await HTTPConnection(port: test.port)
                try await connection.send(text)
                let answer = try await connection.receive()
                #expect(answer.status == 200)
                #expect(answer["Connection"] == "close")
                #expect(try await connection.isEnded())
            }
        }

        @Test(
            "Health is on both listeners, metrics on the admin's only, and the other routes on the public one only",
            .timeLimit(.minutes(1)), arguments: BrokerKind.allCases)
        func listeners(broker: BrokerKind) async throws {
            let test = try await TestNode.start(broker)
            let admin = test.node.adminPort
            for port in [test.port, admin] {
                #expect(try await request(port, "GET", "/healthz").text == "ok\n")
                #expect(try await request(port, "GET", "/readyz").text == "ready\n")
            }
            for target in ["/", "/events?topic=a", "/push?client_id=c&message=m"] {
                #expect(try await request(admin, "GET", target).status == 404, "\(target)")
            }
            let metrics = try await request(admin, "GET", "/metrics")
            #expect(metrics["Content-Type"]?.hasPrefix("text/plain; version=0.0.4") == true)
            #expect(NodeProcess.metric("streams", in: metrics.text) == 0)
            let page = try await request(test.port, "GET", "/")
            #expect(page.status == 200)
            #expect(page["Content-Type"] == "text/html; charset=utf-8")
            #expect(!page.text.contains(/(src|href)=["']https?:/))
        }
    }
}
