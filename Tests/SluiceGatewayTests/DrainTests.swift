// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    @Suite("ends without cutting what was begun")
    struct DrainTests {
        private func drain(_ test: TestNode) async {
            test.node.signal(SIGTERM)
            #expect(await eventually { test.node.output.contains("draining") })
        }

        @Test(
            "A request of which a part has come is answered, over every transport", .timeLimit(.minutes(1)),
            arguments: [Transport.http10, .http11, .tlsHTTP11])
        func halfRead(transport: Transport) async throws {
            let test = try await TestNode.start(.memory, over: transport, ["--drain", "0s"])
            let bytes = Array(
                RawRequest.post(
                    "Content-Length: \(RawRequest.length)\r\n", RawRequest.json, version: "HTTP/\(transport.version)"
                ).utf8)
            // Half a head, and half a body.
            var begun: [(connection: HTTPConnection, rest: [UInt8])] = []
            for count in [10, bytes.count - 5] {
                let connection = try await HTTPConnection(port: test.port, over: transport)
                try await connection.send(Array(bytes.prefix(count)))
                begun.append((connection, Array(bytes.dropFirst(count))))
            }
            #expect(await eventually { try await test.node.metric("requests") == 3 })
            await drain(test)
            for (connection, rest) in begun {
                try await connection.send(rest)
                let answer = try await connection.receive()
                #expect(answer.status == 200 && answer["Connection"] == "close")
                #expect(try await connection.isEnded())
            }
            #expect(await test.node.exitCode() == 0)
        }

        @Test(
            "A publish that waits for Redis is answered", .timeLimit(.minutes(1)), arguments: [Transport.http11, .h2c])
        func publishUnderWay(transport: Transport) async throws {
            let test = try await TestNode.start(.redis, over: transport, ["--drain", "0s"])
            let redis = try #require(test.redis)
            try await test.publish(#"{"topic":"t","data":"before"}"#)
            redis.signal(SIGSTOP)
            async let answer = test.publish(#"{"topic":"t","data":"x"}"#)
            #expect(await eventually { try await test.node.metric("requests") == 2 })
            await drain(test)
            try await Task.sleep(for: .milliseconds(500))
            redis.signal(SIGCONT)
            let published = try await answer
            #expect(published.status == 200)
            #expect(await test.node.exitCode() == 0)
        }

        @Test(
            "A request on a connection that was open is answered with Connection: close", .timeLimit(.minutes(1)))
        func keptConnection() async throws {
            let test = try await TestNode.start(.memory)
            let connection = try await HTTPConnection(port: test.port)
            try await connection.send(RawRequest.get())
            #expect(try await connection.receive()["Connection"] == nil)
            await drain(test)
            try await connection.send(RawRequest.get())
            let last = try await connection.receive()
            #expect(last.status == 200 && last["Connection"] == "close")
            #expect(try await connection.isEnded())
            #expect(await test.node.exitCode() == 0)
        }

        @Test("A request that never becomes whole holds the end up for some seconds only", .timeLimit(.minutes(1)))
        func neverWhole() async throws {
            let test = try await TestNode.start(.memory, ["--drain", "0s"])
            let socket = try await RawSocket(port: test.port)
            try await socket.send(RawRequest.post("Content-Length: 100\r\n", "half"))
            try await Task.sleep(for: .milliseconds(200))
            await drain(test)
            #expect(await test.node.exitCode(within: 2) == nil)
            #expect(await test.node.exitCode(within: 20) == 0)
        }

        @Test("An HTTP/2 request whose body is still to come is answered behind the goodbye", .timeLimit(.minutes(1)))
        func http2() async throws {
            let test = try await TestNode.start(.memory, ["--drain", "0s"])
            let client = try await HTTP2Client(port: test.port)
            let stream = client.newStream()
            client.send(.headers(stream: stream, client.fields("POST", "/publish"), endStream: false))
            #expect(await eventually { try await test.node.metric("requests") == 2 })
            await drain(test)
            #expect(await eventually { !client.goAways.isEmpty })
            client.send(HTTP2Frame(.data, flags: .endStream, stream: stream, Array(RawRequest.json.utf8)))
            #expect(await eventually { client[stream].answer?.status == 200 && client[stream].isEnded })
            #expect(await test.node.exitCode() == 0)
        }
    }
}
