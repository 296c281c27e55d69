// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// The first handler of a connection from a load balancer: takes the PROXY header off, tells the handlers behind it the
/// client's address (``ProxyHeader/Source``), and leaves.
///
/// A connection without the header is closed without an answer: somebody has found a way around the balancer. It has no
/// clock: whoever limits the time to a request's head must have started before the header came.
package final class ProxyHeaderHandler: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer

    private enum State {
        case reading(ByteBuffer)
        case done
        case refused
    }

    private let onRefusal: (_ reason: String) -> Void
    private var state = State.reading(ByteBuffer())

    /// - Parameter onRefusal: called once, before a connection is closed.
    package init(onRefusal: @escaping (_ reason: String) -> Void) {
        self.onRefusal = onRefusal
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch state {
        case .reading(let earlier): received(unwrapInboundIn(data), after: earlier, context: context)
        case .done: context.fireChannelRead(data)
        case .refused: break
        }
    }

    private func received(_ bytes: ByteBuffer, after earlier: ByteBuffer, context: ChannelHandlerContext) {
        var buffer = earlier
        buffer.writeImmutableBuffer(bytes)
        switch ProxyHeader(parsing: buffer) {
        case .incomplete:
            state = .reading(buffer)
        case .complete(let length, let source):
            state = .done
            if let source { context.fireUserInboundEventTriggered(ProxyHeader.Source(address: source)) }
            // Its address may have no room for it, and what it has sent already is not to be carried out.
            guard context.channel.isActive else {
                state = .refused
                return
            }
            buffer.moveReaderIndex(forwardBy: length)
            if buffer.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(buffer)) }
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        case .malformed(let reason):
            state = .refused
            onRefusal(reason)
            context.close(promise: nil)
        }
    }
}

@available(*, unavailable)
extension ProxyHeaderHandler: Sendable {}
