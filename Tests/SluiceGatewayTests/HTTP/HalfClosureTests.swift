// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    @Suite("answers a client that has shut its sending side")
    struct HalfClosureTests {
        private func answers(_ port: Int, _ text: String) async throws -> String {
            let socket = try await RawSocket(port: port)
            try await socket.send(text)
            socket.finishSending()
            return String(decoding: try await socket.receiveAll(), as: UTF8.self)
        }

        @Test("A request is answered, a publish, a finished stream, and all of a pipeline", .timeLimit(.minutes(1)))
        func requests() async throws {
            let test = try await TestNode.start(.redis)
            try await test.publish(#"{"topic":"done","data":"all of it","end":true}"#)
            let health = try await answers(test.port, RawRequest.get())
            #expect(health.hasPrefix("HTTP/1.1 200 OK") && health.hasSuffix("ok\n"))
            let published = try await answers(
                test.port, RawRequest.post("Content-Length: \(RawRequest.length)\r\n", RawRequest.json))
            #expect(published.contains(#"{"results":[{"to":"topic:raw""#))
            let stream = try await answers(test.port, RawRequest.get("/events?topic=done&last_event_id=earliest"))
            #expect(stream.contains("data: all of it") && stream.hasSuffix("0\r\n\r\n"))
            // More than the decoder gets at once.
            let pipeline = String(repeating: RawRequest.get(), count: 1000)
            #expect(try await answers(test.port, pipeline).matches(of: #/HTTP/1\.1 200 /#).count == 1000)
            let half = try await answers(test.port, RawRequest.post("Content-Length: 100\r\n", "half"))
            #expect(half.hasPrefix("HTTP/1.1 400 "))
            #expect(try await answers(test.port, "") == "")
            #expect(await eventually { try await test.node.metric("connections") == 0 })
            #expect(try await test.node.metric("requests") == 1)
        }

        /// The heartbeat would find out as well, an hour later.
        @Test(
            "A stream goes on for a client that still reads, and ends at once for one that has closed",
            .timeLimit(.minutes(1)))
        func streams() async throws {
            let test = try await TestNode.start(.memory, ["--heartbeat", "1h", "--threads", "1"])
            let socket = try await RawSocket(port: test.port)
            try await socket.send(RawRequest.get("/events?topic=t"))
            socket.finishSending()
            var text = ""
            while !text.contains("checkpoint") {
                text += String(decoding: try #require(try await socket.receive()), as: UTF8.self)
            }
            try await Task.sleep(for: .milliseconds(300))
            try await test.publish(#"{"topic":"t","data":"half"}"#)
            while !text.contains("data: half") {
                text += String(decoding: try #require(try await socket.receive()), as: UTF8.self)
            }
            #expect(try await test.node.metric("streams") == 1)
            socket.close()
            try await test.publish(#"{"topic":"t","data":"gone"}"#)
            #expect(await eventually { try await test.node.metric("streams") == 0 })

            let gone = try await test.stream("/events?topic=t")
            #expect(try await test.node.metric("streams") == 1)
            gone.close()
            #expect(await eventually { try await test.node.metric("streams") == 0 })
            #expect(await eventually { try await test.node.metric("connections") == 0 })
        }
    }
}
