// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    @Suite("waits for nobody too long")
    struct TimeoutTests {
        private static let settings = [
            "--head-timeout", "1s", "--body-timeout", "1500ms", "--idle-timeout", "4s", "--heartbeat", "300ms",
        ]

        /// Sends a byte every 100 ms.
        ///
        /// - Returns: how long it took until the connection was closed; nil if it was not.
        private func dribble(_ text: String, on socket: any ByteSocket) async throws -> Duration? {
            let began = ContinuousClock.now
            for byte in Array(text.utf8) {
                try? await socket.send([byte])
                switch socket.read() {
                case .end, .broken: return ContinuousClock.now - began
                case .bytes, .nothing: try await Task.sleep(for: .milliseconds(100))
                }
            }
            return nil
        }

        private static let endless = RawRequest.get("/healthz", "X: " + String(repeating: "x", count: 1000) + "\r\n")

        @Test(
            "A head that comes a byte at a time is closed after --head-timeout, a connection's second one, too",
            .timeLimit(.minutes(1)), arguments: [Transport.http11, .tlsHTTP11])
        func heads(transport: Transport) async throws {
            let test = try await TestNode.start(.memory, over: transport, TimeoutTests.settings)
            let stream = try await test.stream("/events?topic=t")
            for requests in 0...1 {
                let socket = try await transport.connect(port: test.port)
                for _ in 0..<requests {
                    try await socket.send(RawRequest.get())
                    _ = try await socket.receive()
                }
                let time = try #require(try await dribble(TimeoutTests.endless, on: socket))
                #expect((.milliseconds(800) ... .seconds(3)).contains(time), "\(time)")
            }
            #expect(try await test.node.metric("connections_timed_out_total") == 2)
            #expect(stream.now.openings == 1 && !stream.now.isOver)
        }

        @Test(
            "A body that comes a byte at a time is closed after --body-timeout", .timeLimit(.minutes(1)),
            arguments: ["Content-Length: 1000\r\n", "Transfer-Encoding: chunked\r\n"])
        func bodies(field: String) async throws {
            let test = try await TestNode.start(.memory, TimeoutTests.settings)
            let socket = try await RawSocket(port: test.port)
            try await socket.send(RawRequest.post(field, ""))
            let time = try #require(try await dribble("3e8\r\n" + String(repeating: " ", count: 1000), on: socket))
            #expect((.milliseconds(1300) ... .seconds(4)).contains(time), "\(time)")
        }

        @Test(
            "A body on HTTP/2 that does not come is reset after --body-timeout, and its connection goes on",
            .timeLimit(.minutes(1)))
        func streamBody() async throws {
            let test = try await TestNode.start(.memory, TimeoutTests.settings)
            let client = try await HTTP2Client(port: test.port)
            let stream = client.newStream()
            client.send(.headers(stream: stream, client.fields("POST", "/publish"), endStream: false))
            client.send(HTTP2Frame(.data, stream: stream, [0x20]))
            #expect(await eventually(within: 5) { client[stream].reset != nil })
            #expect(try await client.request("GET", "/healthz").status == 200)
        }

        @Test(
            "An HTTP/2 client whose window never opens for an answer loses its request after --stall, and then its connection",
            .timeLimit(.minutes(1)))
        func closedWindow() async throws {
            let test = try await TestNode.start(
                .memory, over: .h2c, TimeoutTests.settings + ["--stall", "2s", "--threads", "1"])
            var options = HTTP2Client.Options()
            options.streamWindow = 0
            let client = try await HTTP2Client(port: test.port, options)
            let streams = (0..<50).map { _ in client.open("GET", "/") }
            #expect(await eventually { streams.allSatisfy { client[$0].answer?.status == 200 } })
            #expect(await eventually { streams.allSatisfy { client[$0].reset != nil } })
            #expect(await eventually { client.isEnded })
            #expect(await eventually { try await test.node.metric("connections") == 0 })
        }

        @Test(
            "A kept connection may be idle longer than --head-timeout, and is closed after --idle-timeout; a stream is touched by neither",
            .timeLimit(.minutes(1)))
        func idle() async throws {
            let test = try await TestNode.start(.memory, TimeoutTests.settings)
            let stream = try await test.stream("/events?topic=t")
            let fresh = try await RawSocket(port: test.port)
            let kept = try await HTTPConnection(port: test.port)
            try await kept.send(RawRequest.get())
            #expect(try await kept.receive().status == 200)
            // Who says nothing at all has the time for a head.
            #expect(try await fresh.receiveAll(within: 4).isEmpty)
            try await Task.sleep(for: .seconds(1))
            try await kept.send(RawRequest.get())
            #expect(try await kept.receive().status == 200)
            let began = ContinuousClock.now
            #expect(try await kept.isEnded(within: 8))
            #expect(ContinuousClock.now - began > .milliseconds(3500))
            #expect(try await test.node.metric("connections_timed_out_total") == 1)
            try await test.publish(#"{"topic":"t","data":"x"}"#)
            #expect(await stream.receives(1))
            #expect(stream.now.openings == 1 && stream.now.comments > 10)
        }
    }
}
