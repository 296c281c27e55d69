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
            #expect(await eventually { try await test.node.metric("streams_open") == 0 })
            #expect(
                await eventually { try await test.publish(#"{"topic":"t","data":"x"}"#).text.contains(#""nodes":0"#) })
        }
    }
}
