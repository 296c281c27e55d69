// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// Makes one flush of all that are asked for in one turn of the loop.
///
/// Each stream of an HTTP/2 connection flushes what it is given, and NIO passes each flush on: without this, an event
/// for a hundred streams of one connection is a hundred writes to its socket.
package final class FlushCollector: ChannelOutboundHandler {
    package typealias OutboundIn = IOData

    private var isDue = false

    package init() {}

    package func flush(context: ChannelHandlerContext) {
        guard !isDue else { return }
        isDue = true
        let bound = NIOLoopBound((collector: self, context: context), eventLoop: context.eventLoop)
        context.eventLoop.execute { bound.value.collector.flushIfDue(bound.value.context) }
    }

    /// What was written before goes out before.
    package func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        flushIfDue(context)
        context.close(mode: mode, promise: promise)
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        isDue = false
    }

    private func flushIfDue(_ context: ChannelHandlerContext) {
        guard isDue else { return }
        isDue = false
        context.flush()
    }
}

@available(*, unavailable)
extension FlushCollector: Sendable {}
