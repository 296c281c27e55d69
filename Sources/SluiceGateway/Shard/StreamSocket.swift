// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOCore

/// The way out of one stream: a non-blocking `send(2)` straight on the descriptor, and NIO's channel for what that leaves.
///
/// Measured: a delivery through NIO's `writeAndFlush` costs a third more than the kernel's own part, this a twentieth.
package struct StreamSocket {
    package let channel: any Channel
    /// -1 where bytes must not go straight to the descriptor, because a handler transforms them (TLS).
    private let descriptor: CInt

    /// - Parameter isPlain: nothing in the channel's pipeline transforms what is written.
    package init(channel: any Channel, isPlain: Bool) {
        self.channel = channel
        let descriptor =
            isPlain
            ? try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { $0 }
            : nil
        self.descriptor = descriptor ?? -1
    }

    /// Sends what the kernel takes at once. Only while nothing waits in the channel.
    ///
    /// A broken connection takes nothing, like a full one: the channel finds out and says so.
    ///
    /// - Returns: how many bytes were taken.
    package func send(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard descriptor >= 0 else { return 0 }
        let sent = Glibc.send(descriptor, bytes.baseAddress, bytes.count, CInt(MSG_DONTWAIT) | CInt(MSG_NOSIGNAL))
        return max(sent, 0)
    }

    /// Hands over what `send` did not take.
    package func queue(_ rest: ByteBuffer) -> EventLoopFuture<Void> {
        channel.writeAndFlush(rest)
    }

    /// What waits in the channel, in bytes.
    package var queuedBytes: Int {
        (try? channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }

    package func close() {
        channel.close(promise: nil)
    }
}
