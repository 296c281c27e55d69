// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// Where to look for a server. It is asked at each attempt to connect, because a failover moves the server.
package enum RedisLocator: Sendable, CustomStringConvertible {
    /// One server. Its name is resolved anew at each attempt: managed services fail over by DNS.
    case fixed(RedisEndpoint)

    /// What a line in the log calls it.
    package var description: String {
        switch self {
        case .fixed(let endpoint): endpoint.url
        }
    }

    /// Finds the server, connects to it and logs in.
    package func connect(on eventLoop: any EventLoop) -> EventLoopFuture<RedisConnection> {
        switch self {
        case .fixed(let endpoint): RedisConnection.connect(to: endpoint, on: eventLoop)
        }
    }
}
