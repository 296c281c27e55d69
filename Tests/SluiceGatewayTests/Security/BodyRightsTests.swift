// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOCore
import TestSupport
import Testing

extension NodeTests {
    @Suite("takes bodies from those who may send them")
    struct BodyRightsTests {
        private static let length = 8_000_000

        private func post(_ target: String, _ visitor: Visitor, _ field: String = "") async throws -> String {
            let token = try await visitor.token().map { "Authorization: Bearer \($0)\r\n" } ?? ""
            return "POST \(target) HTTP/1.1\r\nHost: 127.0.0.1\r\n\(token)\(field)"
                + "Content-Length: \(BodyRightsTests.length)\r\n\r\n"
        }

        @Test(
            "Nobody is asked for a body whose token publishes nothing, or is no token",
            .timeLimit(.minutes(1)),
            arguments: [
                (Visitor.anonymous, 401), (.subscriber, 403), (.expired, 401), (.wrongKey, 401), (.garbage, 401),
                (.publisher, 100), (.admin, 100),
            ])
        func expectation(visitor: Visitor, status: Int) async throws {
            let guarded = try await GuardedNode()
            for target in ["/publish", "/push?client_id=alice"] {
                // The second time its token is known.
                for _ in 0..<2 {
                    let connection = try await HTTPConnection(port: guarded.port)
                    try await connection.send(try await post(target, visitor, "Expect: 100-continue\r\n"))
                    #expect(try await connection.receive().status == status, "\(target)")
                }
            }
        }

        @Test(
            "A large body with a token that is new to the node comes in whole",
            .timeLimit(.minutes(1)), arguments: [Transport.http11, .tlsHTTP11, .h2c, .tlsHTTP2])
        func newToken(transport: Transport) async throws {
            let directory = try Repository.temporaryDirectory()
            defer { try? FileManager.default.removeItem(atPath: directory) }
            let key = "\(directory)/key"
            try Visitor.secret.write(toFile: key, atomically: true, encoding: .utf8)
            let test = try await TestNode.start(.memory, over: transport, ["--auth", "jwt", "--jwt-key", key])
            let body = Array(#"{"topic":"news","data":"\#(String(repeating: "x", count: 900_000))"}"#.utf8)
            for number in 0..<5 {
                let token = try await Token(sub: "\(number)", sluice: .init(publish: ["news"])).signed()
                let headers = ["authorization": "Bearer \(token)", "content-type": "application/json"]
                if transport.isHTTP2 {
                    var options = HTTP2Client.Options()
                    options.transport = transport
                    let client = try await HTTP2Client(port: test.port, options)
                    let answer = try await client.request("POST", "/publish", headers: headers, body: body)
                    #expect(answer.status == 200)
                } else {
                    var request = "POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.count)\r\n"
                    for (name, value) in headers { request += "\(name): \(value)\r\n" }
                    let connection = try await HTTPConnection(port: test.port, over: transport)
                    try await connection.send(request + "\r\n")
                    try await connection.send(String(decoding: body, as: UTF8.self))
                    #expect(try await connection.receive().status == 200)
                }
            }
            #expect(try await test.node.metric("events_published_total") == 5)
        }

        @Test("A body that comes all the same is not kept, and is answered before its end", .timeLimit(.minutes(1)))
        func unasked() async throws {
            let guarded = try await GuardedNode(["--threads", "1"])
            #expect(try await request(guarded.port, "GET", "/").status == 200)
            let before = guarded.node.memory
            var connections: [HTTPConnection] = []
            for number in 0..<20 {
                let connection = try await HTTPConnection(port: guarded.port)
                try await connection.send(try await post(number.isMultiple(of: 2) ? "/publish" : "/push", .subscriber))
                // The node may have ended it before.
                try? await connection.send(String(repeating: "x", count: BodyRightsTests.length - 1))
                connections.append(connection)
            }
            #expect(guarded.node.memory - before < 24 << 20)
            #expect(await eventually { try await guarded.node.metric("requests_refused_total{code=\"403\"}") == 20 })
        }

        @Test(
            "While a token can't be checked yet its body waits with the client, or in the kernel, but not in the node",
            .timeLimit(.minutes(1)), arguments: [Transport.http11, .h2c])
        func unchecked(transport: Transport) async throws {
            // Takes requests for its keys and never answers.
            let keys = KeySetServer("")
            keys.serve(KeySetServer.Document(delay: .hours(1)))
            let port = try await keys.start()
            let node = try await NodeProcess([
                "--threads", "1", "--auth", "jwt", "--jwks", "http://127.0.0.1:\(port)/keys",
            ])
            let token = try await TokenMaker.token(TokenMaker.p256.privatePEM, kid: "1")
            let before = node.memory
            let body = [UInt8](repeating: UInt8(ascii: "x"), count: BodyRightsTests.length)
            let head =
                "POST /publish HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer \(token)\r\n"
                + "Content-Length: \(body.count)\r\n\r\n"
            // The second try is under way, for two seconds: who comes now waits for it.
            #expect(await eventually { keys.requests == 2 })
            guard transport == .http11 else {
                let client = try await HTTP2Client(port: node.port)
                let headers = ["authorization": "Bearer \(token)"]
                let streams = (0..<12).map { _ in client.open("POST", "/publish", headers: headers, body: body) }
                try await Task.sleep(for: .seconds(1))
                // Two windows' worth of each at most is on its way.
                #expect(streams.allSatisfy { client[$0].upload.count > body.count - (128 << 10) })
                #expect(await eventually { streams.allSatisfy { client[$0].answer?.status == 503 } })
                return
            }
            let sockets = try await withThrowingTaskGroup { group in
                for _ in 0..<12 {
                    group.addTask {
                        let socket = try await RawSocket(port: node.port)
                        try await socket.send(head)
                        try? await socket.send(Array(body.dropLast()), within: 1)
                        return socket
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(node.memory - before < 24 << 20)
            #expect(await eventually { try await node.metric("requests_refused_total") == 12 })
            for socket in sockets { socket.close() }
        }
    }
}
