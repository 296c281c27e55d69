// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHPACK
import NIOHTTP2

/// Makes one field of what is one, but may come in several over HTTP/2, before anybody counts or reads fields.
///
/// * `:authority` and `Host`: either says whom the request is for; both may be there if they say the same (RFC 9113 §8.3.1).
///   NIO's codec wants the first, and forgets it where there is the second.
/// * `cookie`: clients send each pair as a field of its own, which compresses better (RFC 9113 §8.2.3).
package final class FieldUnifier: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = HTTP2Frame.FramePayload
    package typealias InboundOut = HTTP2Frame.FramePayload

    package init() {}

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .headers(var payload) = unwrapInboundIn(data) else { return context.fireChannelRead(data) }
        FieldUnifier.unifyAuthority(&payload.headers)
        FieldUnifier.joinCookies(&payload.headers)
        context.fireChannelRead(wrapInboundOut(.headers(payload)))
        // Further headers are trailers.
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    /// None goes on as an empty one, and two that differ as two `host` fields: ``Authority`` refuses both.
    private static func unifyAuthority(_ headers: inout HPACKHeaders) {
        let host = headers.first(name: "host")
        guard let authority = headers.first(name: ":authority") else {
            return headers.add(name: ":authority", value: host ?? "")
        }
        if let host, host != authority { headers.add(name: "host", value: authority) }
    }

    private static func joinCookies(_ headers: inout HPACKHeaders) {
        let cookies = headers["cookie"]
        guard cookies.count > 1 else { return }
        headers.remove(name: "cookie")
        headers.add(name: "cookie", value: cookies.joined(separator: "; "))
    }
}

@available(*, unavailable)
extension FieldUnifier: Sendable {}
