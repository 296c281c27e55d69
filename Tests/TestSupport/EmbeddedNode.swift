// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import NIOEmbedded
import SluiceCore
import SluiceGateway

/// A node with an in-memory broker, whose loop turns only when it is told to.
package final class EmbeddedNode {
    package let loop = EmbeddedEventLoop()
    package let node: Node
    private let hub: Confined<Hub>
    private let shard: Confined<Shard>

    /// - Parameters:
    ///   - tokens: nil: in open mode.
    ///   - configure: changes settings that are looked at for each request.
    package init(tokens: TokenVerifier? = nil, configure: (inout Settings) -> Void = { _ in }) {
        var settings = Settings()
        settings.nodeID = "embedded"
        settings.headTimeout = .hours(1)
        settings.ringBytes = 4096
        configure(&settings)
        let counters = Counters()
        let status = NodeStatus()
        let logger = Logger(label: "embedded") { _ in SwiftLogNoOpLogHandler() }
        let clock: @Sendable () -> UInt64 = { 1_763_720_000_000 }
        let quotas = StreamQuotas(perAddress: 0, perClient: 2)
        let limits = Shard.Limits(settings, shardCount: 1)
        hub = Confined(
            Hub(
                eventLoop: loop, broker: MemoryBroker(eventLoop: loop, wallClock: clock), limits: .init(event: 1000),
                replayCacheBytes: 1 << 20,
                counters: counters, status: status, wallClock: clock, logger: logger), on: loop)
        shard = Confined(
            Shard(
                index: 0, eventLoop: loop, partitioning: .single, limits: limits,
                head: StreamHead(nodeID: settings.nodeID),
                counters: counters, quotas: quotas), on: loop)
        node = Node(
            settings: settings, counters: counters, status: status, hub: hub, streamsMax: 10, connectionsMax: 10,
            retry: limits.retry, streamQuotas: quotas, tokens: tokens, logger: logger)
        hub.value.start(shards: [shard.receiver], reporter: node.reporter(listen: "127.0.0.1:1", started: clock()))
        shard.value.start(hub: hub)
        loop.run()
    }

    /// A connection as the public listener makes it, without TLS.
    package var turns: Turns { shard.value.turns }

    package func connect() throws -> EmbeddedChannel {
        let channel = EmbeddedChannel(loop: loop)
        try node.publicPipeline().add(to: channel, shard: shard.value)
        try channel.connect(to: SocketAddress(ipAddress: "192.0.2.1", port: 1)).wait()
        return channel
    }

    package func stop() throws {
        shard.value.stop()
        hub.value.stop()
        // What is still to come holds the node.
        try loop.syncShutdownGracefully()
    }
}
