// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// How much is read of an accepted connection at once: 128 bytes at first, and up to 1 KiB where more comes.
///
/// The first buffer stays with a connection for its life, and a stream reads nothing more. NIO's
/// `AdaptiveRecvByteBufferAllocator` does the same, but is too large to lie within the channel: it takes 64 bytes more.
package struct ReadSizes: RecvByteBufferAllocator {
    private static let most: Int32 = 1024
    private var next: Int32 = 128

    package init() {}

    package mutating func record(actualReadBytes: Int) -> Bool {
        guard actualReadBytes >= next, next < ReadSizes.most else { return false }
        next *= 2
        return true
    }

    package func buffer(allocator: ByteBufferAllocator) -> ByteBuffer { allocator.buffer(capacity: Int(next)) }

    package func nextBufferSize() -> Int? { Int(next) }
}
