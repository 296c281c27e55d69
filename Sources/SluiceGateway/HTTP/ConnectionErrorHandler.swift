// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP2

/// Closes an HTTP/2 connection whose peer breaks the protocol, or has the node work for nothing (``HTTP2Allowance``).
///
/// What breaks the connection NIO has answered with GOAWAY (RFC 9113 §5.4.1), and leaves the rest to the last handler. What
/// is wrong with one request only was answered by RST_STREAM, and the connection's other streams go on.
package final class ConnectionErrorHandler: ChannelInboundHandler {
    package typealias InboundIn = HTTP2Frame
    package typealias OutboundOut = HTTP2Frame

    private var allowance: HTTP2Allowance
    private var lastStream = HTTP2StreamID.rootStream

    package init(allowance: HTTP2Allowance) {
        self.allowance = allowance
    }

    package func streamOpened(_ id: HTTP2StreamID) {
        lastStream = max(lastStream, id)
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data).payload {
        case .ping, .settings, .priority, .alternativeService, .origin: use(.control, context: context)
        case .data, .headers, .rstStream, .goAway, .pushPromise, .windowUpdate: break
        }
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is AbandonedRequest { use(.abandoned, context: context) }
        context.fireUserInboundEventTriggered(event)
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard ConnectionErrorHandler.isOfOneStream(error) else { return context.close(promise: nil) }
        use(.malformed, context: context)
    }

    /// Names the last stream that was taken, so that a peer does not repeat what was carried out.
    private func use(_ kind: HTTP2Allowance.Kind, context: ChannelHandlerContext) {
        guard !allowance.take(kind, now: context.eventLoop.now), context.channel.isActive else { return }
        let goodbye = HTTP2Frame(
            streamID: .rootStream,
            payload: .goAway(lastStreamID: lastStream, errorCode: .enhanceYourCalm, opaqueData: nil))
        context.writeAndFlush(wrapOutboundOut(goodbye), promise: nil)
        context.close(promise: nil)
    }

    /// A malformed request (RFC 9113 §8.1.1), a body that is not as long as its head says, or a frame at the wrong time.
    private static func isOfOneStream(_ error: any Error) -> Bool {
        switch error {
        case is NIOHTTP2Errors.StreamError, is NIOHTTP2Errors.StreamClosed,
            is NIOHTTP2Errors.BadStreamStateTransition, is NIOHTTP2Errors.CreatedStreamAfterGoaway,
            is NIOHTTP2Errors.PseudoHeaderAfterRegularHeader, is NIOHTTP2Errors.UnknownPseudoHeader,
            is NIOHTTP2Errors.UnsupportedPseudoHeader, is NIOHTTP2Errors.InvalidPseudoHeaders,
            is NIOHTTP2Errors.DuplicatePseudoHeader, is NIOHTTP2Errors.MissingPseudoHeader,
            is NIOHTTP2Errors.EmptyPathHeader, is NIOHTTP2Errors.InvalidPseudoHeaderValue,
            is NIOHTTP2Errors.InvalidHTTP2HeaderFieldName, is NIOHTTP2Errors.InvalidHTTP2HeaderFieldValue,
            is NIOHTTP2Errors.ForbiddenHeaderField, is NIOHTTP2Errors.ContentLengthViolated,
            is NIOHTTP2Errors.ContentLengthHeadersMismatch, is NIOHTTP2Errors.ContentLengthHeaderNegative,
            is NIOHTTP2Errors.ContentLengthHeaderMalformedValue:
            true
        default: false
        }
    }
}

@available(*, unavailable)
extension ConnectionErrorHandler: Sendable {}
