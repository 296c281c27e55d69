// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// What is left of a frame of which the socket has taken a part, or nothing yet.
///
/// A slow stream waits with it, so it holds no copy of what is large: that is shared with all who are given the same.
package struct FrameRest {
    /// Goes out first.
    package let bytes: ByteBuffer
    /// Goes out behind that; nil: there is no more.
    package let shared: ByteBuffer?

    /// - Parameters:
    ///   - rest: what is left.
    ///   - common: what every stream has of this frame, up to its end: the whole, or all behind the line with the id.
    ///   - sharedMin: a smaller rest is copied, because sharing it would keep more in memory than it is worth.
    init(_ rest: ByteBuffer, common: @autoclosure () -> ByteBuffer?, sharedMin: Int) {
        guard rest.readableBytes >= sharedMin, let common = common() else {
            bytes = ByteBuffer(bytes: rest.readableBytesView)
            shared = nil
            return
        }
        let own = rest.readableBytes - common.readableBytes
        if own > 0 {
            bytes = ByteBuffer(bytes: rest.readableBytesView.prefix(own))
            shared = common
        } else {
            bytes = common.getSlice(at: common.readerIndex - own, length: rest.readableBytes) ?? rest
            shared = nil
        }
    }
}
