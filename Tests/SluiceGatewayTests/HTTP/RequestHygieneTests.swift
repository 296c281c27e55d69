// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    @Suite("is strict with HTTP/1 requests")
    struct RequestHygieneTests {
        private static let last = "GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

        @Test(
            "A request that two parsers could read differently is refused, and its connection ends; others are answered",
            .timeLimit(.minutes(1)))
        func table() async throws {
            let test = try await TestNode.start(.memory)
            let requests = RawRequest.framing + RawRequest.syntax + RawRequest.target + RawRequest.semantics
            var published = 0
            for request in requests {
                let socket = try await RawSocket(port: test.port)
                let statuses: [Int]
                switch request.outcome {
                case .refused(let status):
                    try await socket.send(request.bytes)
                    statuses = [status]
                case .answered(let expected):
                    try await socket.send(request.bytes + Array(RequestHygieneTests.last.utf8))
                    statuses = expected + [200]
                }
                guard let bytes = try? await socket.receiveAll(within: 5) else {
                    Issue.record("the connection does not end: \(request.name)")
                    continue
                }
                let text = String(decoding: bytes, as: UTF8.self)
                let seen = text.matches(of: #/HTTP/1\.1 (\d{3}) /#).compactMap { Int($0.1) }
                #expect(seen == statuses, "\(request.name): \(text)")
                if request.bytes.starts(with: Array("POST".utf8)), seen.first == 200 { published += 1 }
            }
            #expect(try await test.node.metric("events_published_total") == published)
            #expect(await eventually { try await test.node.metric("connections") == 0 })
        }

        @Test("A refusal of what can't be read says so in JSON and names the close", .timeLimit(.minutes(1)))
        func refusal() async throws {
            let test = try await TestNode.start(.memory)
            for request in RawRequest.framing {
                guard case .refused(let status) = request.outcome else { continue }
                let connection = try await HTTPConnection(port: test.port)
                try await connection.send(request.bytes)
                let answer = try await connection.receive()
                #expect(answer.status == status, "\(request.name)")
                #expect(answer["Connection"] == "close", "\(request.name)")
                #expect(answer["Content-Type"] == "application/json", "\(request.name)")
                #expect(answer.json?["error"] != nil, "\(request.name)")
            }
        }

        @Test(
            "What a client sends behind a live stream is thrown away: bytes, and whole requests",
            .timeLimit(.minutes(1)))
        func behindStream() async throws {
            let test = try await TestNode.start(.memory, ["--heartbeat", "300ms"])
            let json = #"{"topic":"raw","data":"smuggled"}"#
            let socket = try await RawSocket(port: test.port)
            try await socket.send(
                "GET /events?topic=raw HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
                    + "POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: \(json.utf8.count)\r\n\r\n\(json)")
            _ = try await socket.receive()
            try await socket.send(RawRequest.smuggled)
            try await socket.send(Array(repeating: 0xFF, count: 1 << 20))
            try await test.publish(#"{"topic":"raw","data":"honest"}"#)
            var text = ""
            while !text.contains("honest") {
                text += String(decoding: try #require(try await socket.receive()), as: UTF8.self)
            }
            #expect(!text.contains("smuggled") && !text.contains("HTTP/1.1 404"))
            #expect(try await test.node.metric("events_published_total") == 1)
            #expect(try await test.node.metric("streams") == 1)
        }

        @Test(
            "A client that sends 100,000 requests and reads no answer costs little memory, and is closed after --stall",
            .timeLimit(.minutes(1)),
            arguments: ["GET /", "HEAD /", "HEAD /events?topic=a", "HEAD /nothing", "OPTIONS /publish"])
        func pipelineWithoutReading(line: String) async throws {
            let test = try await TestNode.start(.memory, ["--stall", "2s", "--threads", "1"])
            #expect(try await request(test.port, "GET", "/").status == 200)
            let before = test.node.memory
            let socket = try await RawSocket(port: test.port, receiveBuffer: 4096)
            let requests = Array(String(repeating: "\(line) HTTP/1.1\r\nHost: a\r\n\r\n", count: 100_000).utf8)
            // Either the kernel takes all of it, or the node takes no more.
            let sending = Task { try? await socket.send(requests, within: 10) }
            #expect(await eventually { try await test.node.metric("connections_timed_out_total") == 1 })
            #expect(test.node.memory - before < 8 << 20)
            #expect(await eventually { try await test.node.metric("connections") == 0 })
            sending.cancel()
            socket.close()
        }

        @Test("HEAD has the head of GET on every route, and no body", .timeLimit(.minutes(1)))
        func head() async throws {
            let test = try await TestNode.start(.memory)
            for target in [
                "/", "/healthz", "/readyz", "/nothing", "/events?topic=", "/sse?client_id=", "/publish", "/clients/c",
            ] {
                let get = try await request(test.port, "GET", target)
                let connection = try await HTTPConnection(port: test.port)
                try await connection.send("HEAD \(target) HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                let head = try await connection.receive(method: "HEAD")
                #expect(try await connection.isEnded(), "\(target)")
                let isReadable = get.status != 405
                #expect(head.status == get.status, "\(target)")
                #expect(
                    RequestHygieneTests.lines(head) == RequestHygieneTests.lines(get) || !isReadable, "\(target)")
            }
        }

        /// All but the time.
        private static func lines(_ answer: HTTPAnswer) -> [String] {
            answer.fields.filter { $0.name != "Date" }.map { "\($0.name): \($0.value)" }.sorted()
        }

        @Test(
            "HEAD of a stream names the stream's type and no length, and leaves the connection open",
            .timeLimit(.minutes(1)))
        func headOfStream() async throws {
            let test = try await TestNode.start(.memory)
            let stream = try await test.stream("/events?topic=a")
            let connection = try await HTTPConnection(port: test.port)
            for _ in 0..<2 {
                try await connection.send("HEAD /events?topic=a HTTP/1.1\r\nHost: a\r\n\r\n")
                let head = try await connection.receive(method: "HEAD")
                #expect(head.status == 200)
                #expect(head["Content-Type"] == stream.now.answer?["Content-Type"])
                #expect(head["Cache-Control"] == stream.now.answer?["Cache-Control"])
                #expect(head["Content-Length"] == nil && head["Transfer-Encoding"] == nil)
            }
        }

        /// RFC 9110 §6.6.1: an answer of a server with a clock; §15.5.2: a 401.
        @Test(
            "Every answer has a Date, a 401 names its scheme, and a stream says that its connection ends with it",
            .timeLimit(.minutes(1)), arguments: [Transport.http10, .http11, .h2c])
        func mandatoryFields(transport: Transport) async throws {
            let directory = try Repository.temporaryDirectory()
            defer { try? FileManager.default.removeItem(atPath: directory) }
            let key = "\(directory)/key"
            try "0123456789abcdefghijklmnopqrstuvwxyz".write(toFile: key, atomically: true, encoding: .utf8)
            let test = try await TestNode.start(
                .memory, over: transport, ["--auth", "jwt", "--jwt-key", key, "--anonymous", "*"])
            let stream = try await test.stream("/events?topic=a")
            var answers = [try #require(stream.now.answer)]
            for (method, target) in [
                ("GET", "/"), ("GET", "/healthz"), ("HEAD", "/events?topic=a"), ("OPTIONS", "/publish"),
                ("POST", "/publish"), ("GET", "/nothing"), ("PUT", "/"),
            ] { answers.append(try await test.request(method, target)) }
            #expect(answers.map(\.status) == [200, 200, 200, 200, 204, 401, 404, 405])
            for answer in answers {
                let dates = answer.all("Date")
                #expect(dates.count == 1)
                #expect(dates.first?.wholeMatch(of: /\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT/) != nil)
                #expect((answer["WWW-Authenticate"] == "Bearer") == (answer.status == 401))
            }
            #expect(answers[0]["Content-Type"] == "text/event-stream; charset=utf-8")
            #expect((answers[0]["Connection"] == "close") == !transport.isHTTP2)
        }

        @Test("Every route names its methods to OPTIONS, and to whom comes with another", .timeLimit(.minutes(1)))
        func methods() async throws {
            let test = try await TestNode.start(.memory)
            let routes = [
                "*": "OPTIONS", "/": "GET, HEAD, OPTIONS", "/healthz": "GET, HEAD, OPTIONS",
                "/readyz": "GET, HEAD, OPTIONS",
                "/events?topic=a": "GET, HEAD, OPTIONS", "/sse?client_id=a": "GET, HEAD, OPTIONS",
                "/publish": "POST, OPTIONS", "/push": "GET, POST, OPTIONS", "/clients/c": "GET, HEAD, DELETE, OPTIONS",
                "/clients/c/pause": "POST, OPTIONS", "/topics/t": "GET, HEAD, OPTIONS", "/presence": "POST, OPTIONS",
            ]
            for (target, allowed) in routes {
                let options = try await request(test.port, "OPTIONS", target)
                #expect(options.status == 204 && options["Allow"] == allowed, "\(target)")
                for method in ["TRACE", "PATCH", "CONNECT"] where target != "*" {
                    let answer = try await request(test.port, method, target)
                    #expect(answer.status == 405 && answer["Allow"] == allowed, "\(method) \(target)")
                }
            }
        }

        @Test("Expect: 100-continue: the body is asked for only if it can be taken", .timeLimit(.minutes(1)))
        func expectation() async throws {
            let test = try await TestNode.start(.memory, ["--max-body", "4KiB"])
            let refused = try await HTTPConnection(port: test.port)
            try await refused.send(
                "POST /publish HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n")
            #expect(try await refused.receive().status == 413)
            #expect(try await refused.isEnded())
            let taken = try await HTTPConnection(port: test.port)
            try await taken.send(
                "POST /publish HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nTransfer-Encoding: chunked\r\n\r\n")
            #expect(try await taken.receive().status == 100)
            try await taken.send(RawRequest.chunked)
            #expect(try await taken.receive().status == 200)
        }

        @Test(
            "An Origin is repeated to the page only if it is allowed, and never as a line of its own",
            .timeLimit(.minutes(1)))
        func origin() async throws {
            let test = try await TestNode.start(.memory, ["--origin", "https://a.example"])
            let cases: [(origin: String, allowed: String?, status: Int)] = [
                ("https://a.example", "https://a.example", 200), ("https://b.example", nil, 403),
                ("https://a.example.evil", nil, 403), ("https://a.example%0d%0aX: y", nil, 403), ("null", nil, 403),
            ]
            for test in cases.map({ (test, $0) }) {
                let answer = try await request(
                    test.0.port, "HEAD", "/events?topic=a", headers: ["Origin": test.1.origin])
                #expect(answer.status == test.1.status, "\(test.1.origin)")
                #expect(answer["Access-Control-Allow-Origin"] == test.1.allowed, "\(test.1.origin)")
                #expect(answer["X"] == nil, "\(test.1.origin)")
            }
        }
    }
}
