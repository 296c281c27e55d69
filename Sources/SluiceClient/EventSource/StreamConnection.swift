// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import NIOPosix
import SluiceWeb

/// One connection of an event source: a request, and the parts of its response as they come.
///
/// Confined to its event loop. Exactly one ``End`` is reported.
final class StreamConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    enum End {
        /// The server finished its response.
        case finished
        case lost(any Error)
    }

    private let request: HTTPRequestHead
    private let onHead: (HTTPResponseHead) -> Void
    private let onBody: (ByteBuffer) -> Void
    private var onEnd: ((End) -> Void)?
    private var channel: (any Channel)?

    init(
        request: HTTPRequestHead, onHead: @escaping (HTTPResponseHead) -> Void, onBody: @escaping (ByteBuffer) -> Void,
        onEnd: @escaping (End) -> Void
    ) {
        self.request = request
        self.onHead = onHead
        self.onBody = onBody
        self.onEnd = onEnd
    }

    func connect(_ dialer: WebDialer, on eventLoop: any EventLoop) {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        dialer.bootstrap(on: eventLoop) { channel in
            try channel.pipeline.syncOperations.addHTTPClientHandlers()
            try channel.pipeline.syncOperations.addHandler(bound.value)
        }
        .channelOption(.socketOption(.so_keepalive), value: 1)
        .connect(host: dialer.address.host, port: dialer.address.port)
        .whenFailure { bound.value.end(.lost($0)) }
    }

    func close(_ reason: End = .finished) {
        end(reason)
        channel?.close(promise: nil)
    }

    /// Reads no more, or again: what is not read holds the server back.
    func setReading(_ isReading: Bool) {
        channel?.setOption(.autoRead, value: isReading).whenFailure { _ in }
    }

    private func end(_ end: End) {
        let report = onEnd
        onEnd = nil
        report?(end)
    }

    func channelActive(context: ChannelHandlerContext) {
        // It may have been closed before it was there.
        guard onEnd != nil else { return context.close(promise: nil) }
        channel = context.channel
        context.write(wrapOutboundOut(.head(request)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard onEnd != nil else { return }
        switch unwrapInboundIn(data) {
        case .head(let head): onHead(head)
        case .body(let bytes): onBody(bytes)
        case .end:
            end(.finished)
            context.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(.lost(ChannelError.eof))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(.lost(error))
        context.close(promise: nil)
    }
}

@available(*, unavailable)
extension StreamConnection: Sendable {}
