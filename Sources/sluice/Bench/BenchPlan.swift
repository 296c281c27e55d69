// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceGateway
import SluiceRedis

/// What a bench is to do, checked.
struct BenchPlan: Sendable {
    /// Where the streams are, and how a stream's request looks there.
    struct Server: Sendable {
        let dialer: WebDialer
        let address: SocketAddress
        let target: BenchTemplate
    }

    /// Where messages go.
    enum Destination: Sendable {
        /// Streams are only opened and held.
        case none
        case redis(RedisEndpoint, channel: BenchTemplate, isLogged: Bool)
        case http(WebDialer, target: BenchTemplate, body: BenchTemplate?, headers: [HeaderArgument])
    }

    var servers: [Server]
    var headers: [HeaderArgument]
    var streams: Int
    /// nil: HTTP/1.1, and a connection for each.
    var streamsPerConnection: Int?
    var topics: Int
    var destination: Destination
    var messages: Int
    var rate: Double
    var size: Int
    var inFlight: Int
    /// How many streams may be opening at a time.
    var connectWindow: Int
    /// 1: the system's choice; else that many of 127.0.0.2, 127.0.0.3, …
    var sourceAddresses: Int
    var threads: Int
    var settle: TimeAmount
    var hold: TimeAmount
    var linger: TimeAmount
    var probe: ProcessProbe
    var showsProgress: Bool
}
