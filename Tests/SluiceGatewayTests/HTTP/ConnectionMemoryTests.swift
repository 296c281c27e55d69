// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOEmbedded
import TestSupport
import Testing

@Suite("A connection's memory")
struct ConnectionMemoryTests {
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
