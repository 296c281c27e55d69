// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOEmbedded
import NIOHTTP1
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

    /// A client that reads nothing: what is written stays here.
    private final class Clogged: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer

        private var promises: [EventLoopPromise<Void>] = []

        func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
            if let promise { promises.append(promise) }
        }

        func handlerRemoved(context: ChannelHandlerContext) {
            for promise in promises { promise.fail(ChannelError.ioOnClosedChannel) }
        }
    }

    /// Counts what the decoder has made of what a client sends.
    private final class Heads: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart

        var count = 0

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            if case .head = unwrapInboundIn(data) { count += 1 }
            context.fireChannelRead(data)
        }
    }

    /// The shard looks at its connections once a second, and at an answer that is not taken for `--stall`.
    @Test("A connection that is closed with an answer on its way lets go of all that was sent ahead, at once")
    func closedWhileFlushing() throws {
        let embedded = EmbeddedNode()
        weak var decoder: ByteToMessageHandler<HTTPRequestDecoder>?
        weak var pipelining: HTTPServerPipelineHandler?
        weak var connection: EmbeddedChannel?
        do {
            let channel = try embedded.connect()
            connection = channel
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandler(Clogged(), position: .first)
            let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
            try channel.writeInbound(ByteBuffer(string: String(repeating: request, count: 1000)))
            embedded.loop.run()
            decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
            pipelining = try pipeline.handler(type: HTTPServerPipelineHandler.self)
            channel.close(promise: nil)
            embedded.loop.run()
        }
        #expect(decoder == nil && pipelining == nil)
        #expect(connection == nil)
        #expect(embedded.node.counters.requestsOpen.value == 0)
        try embedded.stop()
    }

    @Test("Of what is sent ahead of an answer only a little is decoded")
    func sentAhead() throws {
        let embedded = EmbeddedNode()
        let channel = try embedded.connect()
        let pipeline = channel.pipeline.syncOperations
        let clogged = Clogged()
        let request = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
        try channel.writeInbound(ByteBuffer(string: request))
        embedded.loop.run()
        let heads = Heads()
        try pipeline.addHandler(
            heads, position: .after(try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)))
        try pipeline.addHandler(clogged, position: .first)
        for _ in 0..<10 {
            try channel.writeInbound(ByteBuffer(string: String(repeating: request, count: 200)))
            embedded.loop.run()
        }
        #expect((1...4096 / request.utf8.count + 1).contains(heads.count))
        channel.close(promise: nil)
        embedded.loop.run()
        try embedded.stop()
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
