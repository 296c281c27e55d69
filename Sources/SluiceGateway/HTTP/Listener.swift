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

    /// In seconds: a peer that says nothing for so long is asked whether it is there.
    private static let keepaliveIdle = 60
    private static let keepaliveInterval = 15
    /// What a connection may have waiting in NIO, in bytes, before its streams are slow readers.
    private static let waterMark = ChannelOptions.Types.WriteBufferWaterMark(low: 16 << 10, high: 32 << 10)
    /// At most 4 KiB are read of a connection before others have their turn: there is room for a hundred requests in that.
    private static let readsPerTurn: UInt = 4

    /// For a port that several addresses have free.
    private static let portAttempts = 10

    package struct PortInUse: Error {
        package let address: ListenAddress
    }

    /// Begins to take connections; until then they wait in the kernel. What shards need must have been sent to their loops
    /// before: a stream that came earlier would wait for ever.
    package static func accept(_ channels: [any Channel]) async throws {
        for channel in channels { try await channel.setOption(.autoRead, value: true).get() }
    }

    /// Binds all addresses of `address` on each shard's loop, and takes no connection yet.
    ///
    /// An address that this machine lacks, as `::1` where there is no IPv6, is left out if there is another.
    ///
    /// - Returns: the channels, and the addresses with the port that was chosen if it was 0, the same for all.
    /// - Throws: ``PortInUse``, ``ListenAddress/Unresolved``, or what the kernel says.
    package static func bind(
        _ address: ListenAddress, pipeline: ConnectionPipeline, shards: [Confined<Shard>]
    ) async throws -> (channels: [any Channel], addresses: [ListenAddress]) {
        let addresses = try address.resolved()
        for _ in 1..<portAttempts where address.port == 0 && addresses.count > 1 {
            // The port that one address has free may be taken on another.
            do { return try await bind(addresses, pipeline: pipeline, shards: shards) } catch is PortInUse {}
        }
        return try await bind(addresses, pipeline: pipeline, shards: shards)
    }

    private static func bind(
        _ addresses: [SocketAddress], pipeline: ConnectionPipeline, shards: [Confined<Shard>]
    ) async throws -> (channels: [any Channel], addresses: [ListenAddress]) {
        var channels: [any Channel] = []
        var bound: [ListenAddress] = []
        var missing: (any Error)?
        do {
            for var address in addresses {
                if let port = bound.first?.port { address.port = port }
                do {
                    // SO_REUSEPORT would share the port with another Sluice without a word: first see that it is free.
                    let probe = try await channel(address, isShared: false, pipeline: pipeline, shard: shards[0])
                    address.port = probe.localAddress?.port ?? address.port
                    try await probe.close()
                } catch let error as IOError where [EADDRNOTAVAIL, EAFNOSUPPORT].contains(error.errnoCode) {
                    missing = error
                    pipeline.logger.notice(
                        "this machine has not every address of the listener's host",
                        metadata: ["missing": "\(ListenAddress(address))"])
                    continue
                }
                for shard in shards {
                    channels.append(try await channel(address, isShared: true, pipeline: pipeline, shard: shard))
                }
                bound.append(ListenAddress(address))
            }
            if bound.isEmpty, let missing { throw missing }
        } catch {
            for channel in channels { try? await channel.close() }
            throw error
        }
        return (channels, bound)
    }

    /// The options of an accepted connection that are NIO's own; by a future each (`childChannelOption`) they would be a
    /// tenth of what it costs to open a stream.
    private static func configure(_ channel: any Channel) throws {
        guard let options = channel.syncOptions else { return }
        // Who shuts its sending side behind its request, as `nc -N` does, waits for the answer.
        try options.setOption(.allowRemoteHalfClosure, value: true)
        try options.setOption(.writeBufferWaterMark, value: waterMark)
        try options.setOption(.maxMessagesPerRead, value: readsPerTurn)
        try options.setOption(.recvAllocator, value: ReadSizes())
    }

    private static func channel(
        _ address: SocketAddress, isShared: Bool, pipeline: ConnectionPipeline, shard: Confined<Shard>
    ) async throws -> any Channel {
        let reusePort = ChannelOptions.Types.SocketOption(
            level: .socket, name: NIOBSDSocket.Option(rawValue: SO_REUSEPORT))
        let failures = AcceptFailures(counters: pipeline.counters, logger: pipeline.logger)
        do {
            var bootstrap = ServerBootstrap(group: shard.eventLoop, childGroup: shard.eventLoop)
            // [::] takes IPv4 as well, also where the system's default is another.
            if address.protocol == .inet6 {
                bootstrap = bootstrap.serverChannelOption(
                    ChannelOptions.Types.SocketOption(level: .ipv6, name: .ipv6_v6only), value: 0)
            }
            return
                try await bootstrap
                .serverChannelOption(.backlog, value: backlog)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .serverChannelOption(.autoRead, value: false)
                .serverChannelOption(reusePort, value: isShared ? 1 : 0)
                .serverChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandlers([
                            AcceptBackoffHandler(shouldForwardIOErrorCaught: true),
                            AcceptErrorHandler(failures: failures),
                        ])
                    }
                }
                // What is accepted has these from its listener (Linux copies the socket): set once, and not by six calls
                // for each connection.
                .serverChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .serverChannelOption(.socketOption(.so_keepalive), value: 1)
                .serverChannelOption(.tcpOption(.init(rawValue: TCP_KEEPIDLE)), value: keepaliveIdle)
                .serverChannelOption(.tcpOption(.init(rawValue: TCP_KEEPINTVL)), value: keepaliveInterval)
                .serverChannelOption(.tcpOption(.init(rawValue: TCP_USER_TIMEOUT)), value: pipeline.limits.userTimeout)
                .serverChannelOption(.socketOption(.so_sndbuf), value: sendBuffer)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try configure(channel)
                        try pipeline.add(to: channel, shard: shard.value)
                    }
                }
                .bind(to: address).get()
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw PortInUse(address: ListenAddress(address))
        }
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
        if complaints.isDue("accept", now: context.eventLoop.now) {
            failures.logger.error(
                "a connection can't be accepted; the open streams go on", metadata: ["reason": "\(error)"])
        }
    }
}

private struct AcceptFailures: Sendable {
    let counters: Counters
    let logger: Logger
}
