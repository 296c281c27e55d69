// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore

/// Where to look for a server. It is asked at each attempt to connect, because a failover moves the server.
package enum RedisLocator: Sendable, CustomStringConvertible {
    /// One server. Its name is resolved anew at each attempt: managed services fail over by DNS.
    case fixed(RedisEndpoint)
    /// Whom Sentinels call master.
    case sentinel(Sentinels)
    /// A master of a cluster.
    case member(RedisEndpoint)

    /// - Parameters:
    ///   - endpoint: of this URL.
    ///   - eventLoop: on which it will be used.
    package init(
        _ url: RedisURL, _ endpoint: RedisEndpoint, sentinel login: SentinelLogin = SentinelLogin(),
        on eventLoop: any EventLoop, logger: Logger? = nil
    ) {
        self =
            if case .sentinel(let master) = url.kind {
                .sentinel(
                    Sentinels(url, master: master, server: endpoint, login: login, on: eventLoop, logger: logger))
            } else { .fixed(endpoint) }
    }

    /// What a line in the log calls it.
    package var description: String {
        switch self {
        case .fixed(let endpoint), .member(let endpoint): endpoint.url
        case .sentinel(let sentinels): sentinels.description
        }
    }

    /// Finds the server, connects to it and logs in. A replica is refused.
    ///
    /// - Parameter found: where the server is, before it is connected to; not called where that is always the same place.
    package func connect(
        on eventLoop: any EventLoop, found: @escaping (RedisAddress) -> Void = { _ in }
    ) -> EventLoopFuture<RedisConnection> {
        switch self {
        case .fixed(let endpoint): return RedisLocator.connect(to: endpoint, on: eventLoop)
        case .member(let endpoint): return RedisLocator.connect(to: endpoint, isOfCluster: true, on: eventLoop)
        case .sentinel(let sentinels):
            return sentinels.find().assumeIsolated().flatMap { address in
                found(address)
                return RedisLocator.connect(to: sentinels.server.at(address), on: eventLoop).assumeIsolated()
                    .map { NIOLoopBound($0, eventLoop: eventLoop) }.nonisolated()
            }.nonisolated().map { $0.value }
        }
    }

    private static func connect(
        to endpoint: RedisEndpoint, isOfCluster: Bool = false, on eventLoop: any EventLoop
    ) -> EventLoopFuture<RedisConnection> {
        RedisConnection.connect(to: endpoint, on: eventLoop).assumeIsolated().flatMapThrowing { connection in
            if let problem = connection.greeting?.problem(isOfCluster: isOfCluster) {
                connection.close()
                throw RedisError.unfit("\(endpoint.address) \(problem)")
            }
            return connection
        }.nonisolated()
    }

    /// Asks who is master now; nil where there is nobody to ask.
    package func master() -> EventLoopFuture<RedisAddress>? {
        if case .sentinel(let sentinels) = self { sentinels.find() } else { nil }
    }

    /// - Parameter hint: called on the event loop when it may be worth to ask again who is master.
    package func listen(_ hint: @escaping () -> Void) {
        if case .sentinel(let sentinels) = self { sentinels.listen(hint) }
    }

    /// Lets go of what a look-up keeps open.
    package func close() {
        if case .sentinel(let sentinels) = self { sentinels.close() }
    }
}
