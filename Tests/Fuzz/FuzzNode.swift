// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import NIOEmbedded
import SluiceGateway

/// A node with an in-memory broker and one connection, whose loop turns only when it is told to. Nothing of an earlier
/// input is left in it, so that what was found can be found again.
final class FuzzNode {
    private let loop = EmbeddedEventLoop()
    private let node: Node
    private let hub: Confined<Hub>
    private let shard: Confined<Shard>

    init() {
        var settings = Settings()
        settings.nodeID = "fuzz"
        settings.headTimeout = .hours(1)
        let counters = Counters()
        let status = NodeStatus()
        let logger = Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() }
        let clock: @Sendable () -> UInt64 = { 1_763_720_000_000 }
        let quotas = StreamQuotas(perAddress: 0, perClient: 2)
        settings.ringBytes = 4096
        let limits = Shard.Limits(settings, shardCount: 1)
        hub = Confined(
            Hub(
                eventLoop: loop, broker: MemoryBroker(eventLoop: loop, wallClock: clock), eventBytesMax: 1000,
                counters: counters, status: status, wallClock: clock, logger: logger), on: loop)
        shard = Confined(
            Shard(
                index: 0, eventLoop: loop, limits: limits, head: StreamHead(nodeID: settings.nodeID),
                counters: counters, quotas: quotas), on: loop)
        node = Node(
            settings: settings, counters: counters, status: status, hub: hub, streamsMax: 10, connectionsMax: 10,
            retry: limits.retry, streamQuotas: quotas, tokens: nil, logger: logger)
        hub.value.start(shards: [shard])
        shard.value.start(hub: hub)
        loop.run()
    }

    /// Sends the pieces, one turn of the loop for each, and closes.
    ///
    /// - Returns: the statuses of the HTTP/1 responses; of HTTP/2 nothing.
    func statuses(of pieces: [UnsafeRawBufferPointer]) -> [String] {
        let channel = EmbeddedChannel(loop: loop)
        var output = ByteBuffer()
        do {
            let pipeline = ConnectionPipeline(
                router: .public, node: node, certificate: nil, expectsProxyHeader: false)
            try pipeline.add(to: channel, shard: shard.value)
            try channel.connect(to: SocketAddress(ipAddress: "192.0.2.1", port: 1)).wait()
            for piece in pieces where channel.isActive {
                try channel.writeInbound(ByteBuffer(bytes: piece))
                loop.run()
            }
            loop.advanceTime(by: .milliseconds(300))
            while var bytes = try channel.readOutbound(as: ByteBuffer.self) { output.writeBuffer(&bytes) }
        } catch {
            fatalError("\(error)")
        }
        _ = try? channel.finish(acceptAlreadyClosed: true)
        loop.run()
        precondition(node.counters.streamsOpen.value == 0, "a stream without a connection")
        precondition(node.counters.connectionsOpen.value == 0, "a connection that is closed is still counted")
        shard.value.stop()
        hub.value.stop()
        // What is still to come holds the node.
        loop.advanceTime(by: .minutes(1))
        return statuses(in: output)
    }

    private func statuses(in output: ByteBuffer) -> [String] {
        let text = String(buffer: output).utf8
        let start = Array("HTTP/1.1 ".utf8)
        // What is published can hold such a line, too, but behind "data: " and escaped in JSON.
        return text.split(separator: UInt8(ascii: "\n")).filter { $0.starts(with: start) }
            .compactMap { String(Substring($0)) }
    }
}
