// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// The last stage of a request: it was read whole and may be carried out.
package struct AuthorizedRequest {
    package enum Outcome {
        case answer(Answer)
        case later(EventLoopFuture<Answer>)
        case stream(Subscription)
    }

    let head: RequestHead
    let grant: Grant
    let body: ByteBuffer
    /// Its connection's.
    let eventLoop: any EventLoop
}
