// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP2

/// Closes an HTTP/2 connection whose peer breaks the protocol: NIO says GOAWAY (RFC 9113 §5.4.1), and leaves the rest
/// to the last handler.
///
/// What is wrong with one request only was answered by RST_STREAM, and the connection's other streams go on.
package final class ConnectionErrorHandler: ChannelInboundHandler {
    package typealias InboundIn = HTTP2Frame

    package init() {}

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if !ConnectionErrorHandler.isOfOneStream(error) { context.close(promise: nil) }
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
