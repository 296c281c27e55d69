// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import SluiceCore

/// What every connection's handler needs to know of the node.
package struct Node: Sendable {
    package let settings: Settings
    package let counters: Counters
    package let status: NodeStatus
    package let hub: Confined<Hub>
    package let streamsMax: Int
    package let retry: RetryPolicy
    package let headers: [(String, String)]
    package let logger: Logger

    package func publish(_ publication: Publication, on eventLoop: any EventLoop) -> EventLoopFuture<Receipt> {
        let hub = hub
        return hub.eventLoop.flatSubmit { hub.value.publish(publication) }.hop(to: eventLoop)
    }

    package var publishLimits: PublishRequest.Limits {
        PublishRequest.Limits(
            dataBytesMax: settings.eventBytesMax, maxlen: settings.logEvents,
            ttl: max(1, Int(settings.logTTL.nanoseconds / 1_000_000_000)))
    }
}
