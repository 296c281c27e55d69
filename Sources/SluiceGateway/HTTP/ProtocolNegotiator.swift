// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOTLS

/// Finds out which HTTP a connection speaks, has the pipeline made for it, and leaves.
///
/// Under TLS the handshake says it (ALPN, RFC 7301). In plaintext the first bytes do: HTTP/2 with prior knowledge, as
/// load balancers speak it to their backends, begins with a preface that is no HTTP/1 request (RFC 9113 §3.4).
package final class ProtocolNegotiator: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer

    package enum Version {
        case http1
        case http2
    }

    /// `PRI` tells it from every method of HTTP/1; the rest of the preface is checked by HTTP/2 itself.
    private static let preface = Array("PRI".utf8)

    private let isTLS: Bool
    private let configure: (Version) throws -> Void
    private var received = ByteBuffer()
    /// Making the pipeline may write, and a write that fails makes NIO read what is left: that is no reason to make it again.
    private var isDecided = false

    /// - Parameter configure: adds the handlers of a version behind this one.
    package init(isTLS: Bool, configure: @escaping (Version) throws -> Void) {
        self.isTLS = isTLS
        self.configure = configure
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if isTLS, case TLSUserEvent.handshakeCompleted(let negotiated)? = event as? TLSUserEvent {
            decide(negotiated == "h2" ? .http2 : .http1, context: context)
        } else if !isDecided, case ChannelEvent.inputClosed? = event as? ChannelEvent {
            // It has asked for nothing.
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        received.writeBuffer(&bytes)
        guard !isDecided else { return }
        let known = received.readableBytesView.prefix(ProtocolNegotiator.preface.count)
        if !ProtocolNegotiator.preface.starts(with: known) {
            decide(.http1, context: context)
        } else if known.count == ProtocolNegotiator.preface.count {
            decide(.http2, context: context)
        }
    }

    private func decide(_ version: Version, context: ChannelHandlerContext) {
        isDecided = true
        do {
            try configure(version)
        } catch {
            return context.close(promise: nil)
        }
        while received.readableBytes > 0 {
            let bytes = received
            received = ByteBuffer()
            context.fireChannelRead(wrapInboundOut(bytes))
            context.fireChannelReadComplete()
        }
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

@available(*, unavailable)
extension ProtocolNegotiator: Sendable {}
