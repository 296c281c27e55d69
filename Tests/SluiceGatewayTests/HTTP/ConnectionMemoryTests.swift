// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOEmbedded
import SluiceGateway
import TestSupport
import Testing

@Suite("A connection's memory")
struct ConnectionMemoryTests {
    private final class Weak {
        weak var channel: EmbeddedChannel?

        init(_ channel: EmbeddedChannel) {
            self.channel = channel
        }
    }

    @Test("Streams that come and go all the time are not kept until their next heartbeat")
    func churn() throws {
        let embedded = EmbeddedNode()
        var channels: [Weak] = []
        for _ in 0..<5000 {
            let channel = try embedded.connect()
            channels.append(Weak(channel))
            try channel.writeInbound(ByteBuffer(string: "GET /events?topic=a HTTP/1.1\r\nHost: a\r\n\r\n"))
            embedded.loop.run()
            channel.close(promise: nil)
            embedded.loop.run()
        }
        #expect(embedded.node.counters.streamsOpened.value == 5000)
        #expect(channels.count { $0.channel != nil } < 1200)
        try embedded.stop()
    }

    /// The socket fails, or the node closes it, while NIO hands over what was read: its end is never told.
    @Test("An HTTP/2 connection that ends in the middle of a read leaves nothing behind")
    func endInTheMiddleOfARead() throws {
        let embedded = EmbeddedNode()
        weak var connection: EmbeddedChannel?
        do {
            let channel = try embedded.connect()
            connection = channel
            // Their bodies are still to come, so none is answered.
            let fields = [(":method", "POST"), (":scheme", "http"), (":path", "/publish"), (":authority", "localhost")]
            let frames = [1, 3, 5].flatMap { HTTP2Frame.headers(stream: $0, fields, endStream: false).bytes }
            try channel.writeInbound(ByteBuffer(bytes: HTTP2Frame.preface + HTTP2Frame(.settings).bytes))
            embedded.loop.run()
            channel.pipeline.fireChannelRead(ByteBuffer(bytes: frames))
            channel.close(promise: nil)
            embedded.loop.run()
        }
        #expect(connection == nil)
        try embedded.stop()
    }
}
