// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

extension NodeTests {
    @Suite("hands a connection over to its stream")
    struct StreamTakeoverTests {
        /// NIO tells of the garbage while its handlers leave. It once closed the connection before the shard knew the
        /// stream, which then stayed for ever.
        @Test(
            "Garbage that comes together with a stream's request neither ends the stream nor makes it outlive its client",
            .timeLimit(.minutes(1)))
        func garbage() async throws {
            let test = try await TestNode.start(.memory)
            let socket = try await RawSocket(port: test.port)
            try await socket.send("GET /events?topic=t HTTP/1.1\r\nHost: a\r\n\r\n\u{1}GET nonsense\r\n\r\n")
            var text = ""
            while !text.contains("checkpoint") {
                text += String(decoding: try #require(try await socket.receive()), as: UTF8.self)
            }
            #expect(try await test.publish(#"{"topic":"t","data":"x"}"#).text.contains(#""nodes":1"#))
            socket.close()
            #expect(await eventually { try await test.node.metric("streams") == 0 })
            #expect(
                await eventually { try await test.publish(#"{"topic":"t","data":"x"}"#).text.contains(#""nodes":0"#) })
        }

        /// What the socket does not take at once goes through the channel. An HTTP encoder that was left there can't take it,
        /// and ended the process.
        @Test(
            "What a slow client's socket has no room for follows as it is: nothing of the request's handlers is left",
            .timeLimit(.minutes(1)), arguments: [Transport.http11, .http10, .tlsHTTP11])
        func slowWrite(transport: Transport) async throws {
            let test = try await TestNode.start(.memory, over: transport)
            var slow = EventStreamClient.Options()
            slow.receiveBuffer = 4096
            let stream = try await test.stream("/events?topic=t", slow)
            stream.pause()
            let data = String(repeating: "x", count: 500_000)
            for _ in 0..<10 { try await test.publish(#"{"topic":"t","data":"\#(data)"}"#) }
            stream.resume()
            #expect(await stream.receives(10, within: 40))
            #expect(stream.data.allSatisfy { $0.utf8.count == data.utf8.count })
            #expect(stream.now.openings == 1 && stream.now.failure == nil)
        }
    }
}
