// SPDX-License-Identifier: Apache-2.0
import Glibc
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix

/// A listening socket on one shard's loop: what it accepts stays on that loop.
///
/// Every shard has its own on the same port (SO_REUSEPORT), and the kernel spreads the connections.
package enum Listener {
    /// A burst of reconnects must not be refused while a loop is busy.
    private static let backlog: Int32 = 4096
    /// What the kernel keeps for a client that does not read, in bytes (it doubles this). Left to itself it would keep
    /// megabytes for each, and slowness would show late.
    private static let sendBuffer = 128 * 1024

    package struct PortInUse: Error {
        package let address: ListenAddress
    }

    /// Binds `address` on each shard's loop.
    ///
    /// - Returns: the channels, and the address with the port that was chosen if it was 0.
    /// - Throws: ``PortInUse``, or what the kernel says.
    package static func bind(
        _ address: ListenAddress, router: Router, node: Node, shards: [Confined<Shard>]
    ) async throws -> (channels: [any Channel], address: ListenAddress) {
        var address = address
        // SO_REUSEPORT would share the port with another Sluice without a word: first see that it is free.
        let probe = try await channel(address, isShared: false, router: router, node: node, shard: shards[0])
        address.port = probe.localAddress?.port ?? address.port
        try await probe.close()
        var channels: [any Channel] = []
        for shard in shards {
            channels.append(try await channel(address, isShared: true, router: router, node: node, shard: shard))
        }
        return (channels, address)
    }

    private static func channel(
        _ address: ListenAddress, isShared: Bool, router: Router, node: Node, shard: Confined<Shard>
    ) async throws -> any Channel {
        let reusePort = ChannelOptions.Types.SocketOption(
            level: .socket, name: NIOBSDSocket.Option(rawValue: SO_REUSEPORT))
        let failures = AcceptFailures(counters: node.counters, logger: node.logger)
        do {
            return try await ServerBootstrap(group: shard.eventLoop, childGroup: shard.eventLoop)
                .serverChannelOption(.backlog, value: backlog)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .serverChannelOption(reusePort, value: isShared ? 1 : 0)
                .serverChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandlers([
                            AcceptBackoffHandler(shouldForwardIOErrorCaught: true),
                            AcceptErrorHandler(failures: failures),
                        ])
                    }
                }
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .childChannelOption(.socketOption(.so_keepalive), value: 1)
                .childChannelOption(.socketOption(.so_sndbuf), value: sendBuffer)
                // One small buffer: it stays with the connection for its life, and a stream reads nothing more.
                .childChannelOption(.maxMessagesPerRead, value: 1)
                .childChannelOption(
                    .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 512, initial: 512, maximum: 65536)
                )
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try addHandlers(to: channel, router: router, node: node, shard: shard.value)
                    }
                }
                .bind(host: address.host, port: address.port).get()
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw PortInUse(address: address)
        }
    }

    /// HTTP/1 as NIO has it, with limits that suit strangers.
    private static func addHandlers(to channel: any Channel, router: Router, node: Node, shard: Shard) throws {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = 16 << 10
        limits.maxHeaderListSize = 32 << 10
        limits.maxHeaderFieldCount = 100
        let encoder = HTTPResponseEncoder()
        let decoder = ByteToMessageHandler(
            HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes, limitConfiguration: limits))
        let pipelining = HTTPServerPipelineHandler()
        let handler = RequestHandler(
            node: node, shard: shard, router: router, companions: [pipelining, decoder, encoder])
        try channel.pipeline.syncOperations.addHandlers([encoder, decoder, pipelining, handler])
    }
}

/// Counts what could not be accepted and says so, once a minute.
private final class AcceptErrorHandler: ChannelInboundHandler {
    typealias InboundIn = any Channel

    private let failures: AcceptFailures
    private var complaints = Complaints(interval: .minutes(1))

    init(failures: AcceptFailures) {
        self.failures = failures
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        failures.counters.acceptsFailed.add(1)
        if complaints.isDue("accept", now: .now()) {
            failures.logger.error(
                "a connection can't be accepted; the open streams go on", metadata: ["reason": "\(error)"])
        }
    }
}

private struct AcceptFailures: Sendable {
    let counters: Counters
    let logger: Logger
}
