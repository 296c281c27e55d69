// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHPACK
import NIOHTTP2
import SluiceWeb

/// Opens a stream as one of many on an HTTP/2 connection, and hands it the data of its frames.
final class HTTP2Handler: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias OutboundOut = HTTP2Frame.FramePayload

    private let stream: Subscriber
    private let request: HPACKHeaders

    init(_ stream: Subscriber, request: HPACKHeaders) {
        self.stream = stream
        self.request = request
    }

    func channelActive(context: ChannelHandlerContext) {
        stream.connected(context.channel)
        context.writeAndFlush(wrapOutboundOut(.headers(.init(headers: request, endStream: true))), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .headers(let frame):
            if stream.isOpening { received(ResponseHead(frame.headers)) }
            if frame.endStream { stream.ended() }
        case .data(let frame):
            if case .byteBuffer(let bytes) = frame.data {
                bytes.withUnsafeReadableBytes { stream.received($0, now: .now()) }
            }
            if frame.endStream { stream.ended() }
        default: break
        }
    }

    private func received(_ head: ResponseHead) {
        if let problem = head.problem { stream.fail(problem) } else { stream.opened(isChunked: false) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        stream.fail("the connection was closed")
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        stream.fail(NetworkError.reason(error))
        context.close(promise: nil)
    }
}

@available(*, unavailable)
extension HTTP2Handler: Sendable {}
