// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOEmbedded
import NIOHTTP2
import SluiceGateway
import Testing

@Suite("OrderedStreamDelegate")
struct OrderedStreamDelegateTests {
    private typealias Frame = NIOHTTP2.HTTP2Frame

    @Test("A stream that ends before it began does not hold its connection when that is told to go")
    func endBeforeBeginning() throws {
        let channel = EmbeddedChannel()
        let manager = NIOHTTP2ServerConnectionManagementHandler(
            eventLoop: channel.eventLoop, configuration: .defaults)
        try channel.pipeline.syncOperations.addHandler(manager)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        let delegate = OrderedStreamDelegate(manager.http2StreamDelegate)
        delegate.streamClosed(1, channel: channel)
        delegate.streamCreated(1, channel: channel)
        channel.embeddedEventLoop.run()

        channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        _ = try channel.readOutbound(as: Frame.self)  // GOAWAY
        let ping = try #require(try channel.readOutbound(as: Frame.self))
        guard case .ping(let data, _) = ping.payload else {
            Issue.record("no ping behind GOAWAY: \(ping)")
            return
        }
        try channel.writeInbound(Frame(streamID: .rootStream, payload: .ping(data, ack: true)))
        channel.embeddedEventLoop.run()
        #expect(!channel.isActive)
    }
}
