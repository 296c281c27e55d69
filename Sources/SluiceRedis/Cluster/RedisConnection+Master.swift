// SPDX-License-Identifier: Apache-2.0
import NIOCore

extension RedisConnection {
    /// Fails if this is another server of a cluster than the one that is meant: its address may be another's by now.
    ///
    /// - Parameter id: nil: any.
    func check(id: String?, timeout: TimeAmount) -> EventLoopFuture<Void> {
        guard let id else { return eventLoop.makeSucceededVoidFuture() }
        return send(["CLUSTER", "MYID"], timeout: timeout).flatMapThrowing { reply in
            guard reply.string == id else {
                throw RedisError.unfit("this is another server than the one that was named")
            }
        }
    }
}
