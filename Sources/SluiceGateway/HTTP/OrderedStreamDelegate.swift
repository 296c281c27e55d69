// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP2

/// Tells the manager of an HTTP/2 connection which streams it has, every end after its beginning.
///
/// The manager relies on that. But a stream that is closed while its first frame is still at work ends, for NIO, before
/// it has begun: without this, a stranger's malformed request would stop a debug build, and keep a connection from ever
/// being idle in others.
package struct OrderedStreamDelegate: NIOHTTP2StreamDelegate {
    private let manager: NIOHTTP2ServerConnectionManagementHandler.HTTP2StreamDelegate

    package init(_ manager: NIOHTTP2ServerConnectionManagementHandler.HTTP2StreamDelegate) {
        self.manager = manager
    }

    package func streamCreated(_ id: HTTP2StreamID, channel: any Channel) {
        manager.streamCreated(id, channel: channel)
    }

    package func streamClosed(_ id: HTTP2StreamID, channel: any Channel) {
        channel.eventLoop.execute { [manager] in manager.streamClosed(id, channel: channel) }
    }
}
