// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceCore

/// The last stage of a request: it was read whole and may be carried out.
package struct AuthorizedRequest {
    let head: RequestHead
    let grant: Grant
    let body: ByteBuffer
    /// Its connection's.
    let eventLoop: any EventLoop

    func carryOut() throws(HTTPProblem) -> Route.Outcome {
        guard head.method != .OPTIONS else {
            return .answer(Preflight.answer(to: head.message, methods: head.route.methods))
        }
        return try head.route.answer(self)
    }
}
