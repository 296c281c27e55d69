// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// Told to an HTTP/2 connection by the channel of a stream that ended before its answer began.
package struct AbandonedRequest {
    package static func report(on stream: any Channel) {
        stream.parent?.pipeline.fireUserInboundEventTriggered(AbandonedRequest())
    }
}
