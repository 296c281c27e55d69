// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// Looks over a connection that is made for that alone. To be called on the event loop.
extension ClusterMap {
    /// The newest that any of these servers knows: a server that has missed a failover has a lower epoch.
    ///
    /// Fails if none of them answers.
    package static func newest(
        seenBy servers: [RedisAddress], _ endpoint: RedisEndpoint, timeout: TimeAmount, on eventLoop: any EventLoop
    ) -> EventLoopFuture<ClusterMap> {
        let looks = servers.map { address in
            seen(by: address, endpoint, timeout: timeout, on: eventLoop).flatMapErrorThrowing { error in
                throw RedisError.unfit("\(address): \(error)")
            }
        }
        return EventLoopFuture.whenAllComplete(looks, on: eventLoop).flatMapThrowing { results in
            let maps = results.compactMap { try? $0.get() }
            if let newest = maps.max(by: { $0.epoch < $1.epoch }) { return newest }
            guard let result = results.first else { throw RedisError.unavailable }
            return try result.get()
        }
    }

    /// - Parameters:
    ///   - endpoint: a login, which is the same at all servers.
    ///   - timeout: for each answer.
    static func seen(
        by address: RedisAddress, _ endpoint: RedisEndpoint, timeout: TimeAmount, on eventLoop: any EventLoop
    ) -> EventLoopFuture<ClusterMap> {
        RedisConnection.connect(to: endpoint.at(address), on: eventLoop).assumeIsolated().flatMap { connection in
            let replies = commands.map { connection.send($0, timeout: timeout) }
            let all = EventLoopFuture.whenAllSucceed(replies, on: eventLoop).assumeIsolated()
            let isLone = connection.greeting?.isOfCluster == false
            return all.flatMapErrorThrowing { error in
                throw isLone ? RedisError.unfit("it is no server of a cluster: its URL begins with redis://") : error
            }.always { _ in connection.close() }.nonisolated()
        }.nonisolated().flatMapThrowing { try ClusterMap(replies: $0, asked: address) }
    }
}
