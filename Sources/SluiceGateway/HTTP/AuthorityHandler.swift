// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHPACK
import NIOHTTP2

/// Makes `:authority` and `Host` of an HTTP/2 request one field, which NIO's codec does not: it wants the first, and
/// forgets it where there is the second.
///
/// Either says whom the request is for; both may be there if they say the same (RFC 9113 §8.3.1).
package final class AuthorityHandler: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = HTTP2Frame.FramePayload
    package typealias InboundOut = HTTP2Frame.FramePayload

    package init() {}

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .headers(var payload) = unwrapInboundIn(data) else { return context.fireChannelRead(data) }
        AuthorityHandler.unify(&payload.headers)
        context.fireChannelRead(wrapInboundOut(.headers(payload)))
        // Further headers are trailers.
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    /// None goes on as an empty one, and two that differ as two `host` fields: ``Authority`` refuses both.
    private static func unify(_ headers: inout HPACKHeaders) {
        let host = headers.first(name: "host")
        guard let authority = headers.first(name: ":authority") else {
            return headers.add(name: ":authority", value: host ?? "")
        }
        if let host, host != authority { headers.add(name: "host", value: authority) }
    }
}

@available(*, unavailable)
extension AuthorityHandler: Sendable {}
