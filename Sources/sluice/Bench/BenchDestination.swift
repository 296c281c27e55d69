// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// Where the bench publishes to. Confined to the publisher's event loop.
protocol BenchDestination: AnyObject {
    /// Gives the number of nodes that heard it, where that is known.
    func publish(_ payload: ByteBuffer, topic: Int) -> EventLoopFuture<Int?>
    func close()
}
