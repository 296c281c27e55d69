// SPDX-License-Identifier: Apache-2.0
import DequeModule
import NIOCore
import NIOPosix
import NIOSSL

/// One connection to Redis on NIO: commands in a pipeline, and what a subscriber is pushed.
///
/// Confined to its event loop.
package final class RedisConnection: ChannelInboundHandler {
    package typealias InboundIn = ByteBuffer

    /// A reply may be a page of a log; more than this in one piece ends the connection.
    private static let replyBytesMax = 128 * 1024 * 1024
    package static let connectTimeout = TimeAmount.seconds(2)

    private struct Waiting {
        let sent: NIODeadline
        let timeout: TimeAmount
        let bytes: Int
        let promise: EventLoopPromise<RESPValue>
    }

    private let reader = RESPReader(replyBytesMax: RedisConnection.replyBytesMax)
    package let eventLoop: any EventLoop
    /// Where it leads to.
    package let address: RedisAddress
    private var channel: (any Channel)?
    private var waiting: Deque<Waiting> = []
    private var bytesInFlight = 0
    private var output = ByteBuffer()
    private var isFlushScheduled = false
    private var timer: Scheduled<Void>?
    /// When anything came last.
    package private(set) var lastRead = NIODeadline.uptimeNanoseconds(0)
    private var failure: String?
    /// What the server said of itself; nil if it, or a proxy before it, does not know `HELLO`.
    package private(set) var greeting: RedisGreeting?

    /// Once this is set the connection is a subscriber's: every reply is handed here.
    package var onPush: ((borrowing RESPReply) -> Void)?
    /// One read of the socket is over.
    package var onReadComplete: (() -> Void)?
    /// Called once, with the reason, whoever ended the connection.
    package var onClose: ((String) -> Void)?

    private init(to address: RedisAddress, eventLoop: any EventLoop) {
        self.address = address
        self.eventLoop = eventLoop
    }

    /// Connects and logs in.
    ///
    /// - Parameter timeout: for the connection, and for each answer to the login.
    package static func connect(
        to endpoint: RedisEndpoint, on eventLoop: any EventLoop, timeout: TimeAmount = connectTimeout
    ) -> EventLoopFuture<RedisConnection> {
        let connection = NIOLoopBound(
            RedisConnection(to: endpoint.address, eventLoop: eventLoop), eventLoop: eventLoop)
        return ClientBootstrap(group: eventLoop)
            .connectTimeout(timeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 64 * 1024))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls = endpoint.tls {
                        try channel.pipeline.syncOperations.addHandler(
                            tlsHandler(context: tls.context, host: endpoint.address.host))
                    }
                    connection.value.channel = channel
                    try channel.pipeline.syncOperations.addHandler(connection.value)
                }
            }
            .connect(host: endpoint.address.host, port: endpoint.address.port)
            .flatMap { _ in connection.value.logIn(endpoint, timeout) }
            .flatMapErrorThrowing { error in
                connection.value.close()
                throw error
            }
            .map { connection.value }
    }

    /// The server's certificate has to name the host; an address has no server name indication (RFC 6066 §3).
    private static func tlsHandler(context: NIOSSLContext, host: String) throws -> NIOSSLClientHandler {
        let isAddress = (try? SocketAddress(ipAddress: host, port: 0)) != nil
        return try NIOSSLClientHandler(context: context, serverHostname: isAddress ? nil : host)
    }

    private func logIn(_ endpoint: RedisEndpoint, _ timeout: TimeAmount) -> EventLoopFuture<Void> {
        var commands: [RESPCommand] = []
        if let password = endpoint.password {
            commands.append(endpoint.user.isEmpty ? ["AUTH", password] : ["AUTH", endpoint.user, password])
        }
        if endpoint.database != 0 { commands.append(["SELECT", String(endpoint.database)]) }
        var replies = commands.map { send($0, timeout: timeout).map { _ in } }
        // For people who look at CLIENT LIST.
        replies.append(sendOptional(["CLIENT", "SETNAME", endpoint.clientName], timeout).map { _ in })
        let greeting = sendOptional(["HELLO"], timeout).assumeIsolated().map { [self] reply in
            self.greeting = reply.flatMap { RedisGreeting($0) }
        }
        return EventLoopFuture.andAllSucceed(replies + [greeting.nonisolated()], on: eventLoop)
    }

    /// nil from a server that refuses it, which can be used all the same, unless it asks for a login.
    private func sendOptional(_ command: RESPCommand, _ timeout: TimeAmount) -> EventLoopFuture<RESPValue?> {
        send(command, timeout: timeout).map { $0 }.flatMapErrorThrowing { error in
            guard case RedisError.refused(let reason) = error, !reason.hasPrefix("NOAUTH") else { throw error }
            return nil
        }
    }

    /// Which run of which server this is: one that is restarted has another. nil if the user may not ask.
    package func runID(timeout: TimeAmount) -> EventLoopFuture<String?> {
        sendOptional(["INFO", "server"], timeout).map { reply in
            let lines = reply?.string?.split(whereSeparator: \.isNewline)
            return lines?.first { $0.hasPrefix("run_id:") }.map { String($0.dropFirst(7)) }
        }
    }

    /// What waits for a reply, in bytes of commands.
    package var bytesWaiting: Int { bytesInFlight }

    /// Sends a command; commands of one turn of the loop share a write.
    ///
    /// The future fails with ``RedisError`` if Redis refuses, says nothing at all for `timeout` (a large reply on a slow
    /// network takes as long as it takes), or the connection ends.
    package func send(_ command: RESPCommand, timeout: TimeAmount) -> EventLoopFuture<RESPValue> {
        guard failure == nil else { return eventLoop.makeFailedFuture(RedisError.unavailable) }
        let promise = eventLoop.makePromise(of: RESPValue.self)
        let before = output.readableBytes
        command.write(to: &output)
        let bytes = output.readableBytes - before
        bytesInFlight += bytes
        waiting.append(Waiting(sent: eventLoop.now, timeout: timeout, bytes: bytes, promise: promise))
        scheduleFlush()
        armTimer()
        return promise.futureResult
    }

    /// Sends a command of subscriber mode, whose replies arrive as pushes.
    package func push(_ command: RESPCommand) {
        guard failure == nil else { return }
        command.write(to: &output)
        scheduleFlush()
    }

    package func close() {
        fail("closed by this node")
        channel?.close(promise: nil)
    }

    private func scheduleFlush() {
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        eventLoop.assumeIsolated().execute { [self] in
            isFlushScheduled = false
            guard failure == nil, output.readableBytes > 0, let channel else { return }
            let bytes = output
            output = ByteBuffer()
            channel.writeAndFlush(bytes, promise: nil)
        }
    }

    /// One timer for the connection, set for the oldest command.
    private func armTimer() {
        guard timer == nil, let first = waiting.first else { return }
        timer = eventLoop.assumeIsolated().scheduleTask(deadline: deadline(of: first)) { [self] in
            timer = nil
            guard let first = waiting.first else { return }
            if deadline(of: first) <= eventLoop.now {
                fail("no reply in time")
                channel?.close(promise: nil)
            } else {
                armTimer()
            }
        }
    }

    private func deadline(of command: Waiting) -> NIODeadline {
        max(command.sent, lastRead) + command.timeout
    }

    private func fail(_ reason: String) {
        guard failure == nil else { return }
        failure = reason
        timer?.cancel()
        timer = nil
        let unanswered = waiting
        waiting.removeAll()
        bytesInFlight = 0
        for command in unanswered { command.promise.fail(RedisError.lost(reason)) }
        let closed = onClose
        onPush = nil
        onReadComplete = nil
        onClose = nil
        closed?(reason)
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard failure == nil else { return }
        lastRead = eventLoop.now
        let bytes = unwrapInboundIn(data)
        do {
            try bytes.withUnsafeReadableBytes { try reader.read($0) { received($0) } }
        } catch {
            fail("Redis broke its protocol: \(error)")
            context.close(promise: nil)
        }
    }

    private func received(_ reply: borrowing RESPReply) {
        if let onPush { return onPush(reply) }
        guard let first = waiting.popFirst() else { return }
        bytesInFlight -= first.bytes
        switch reply.value {
        case .error(let message): first.promise.fail(RedisError.refused(message))
        case let value: first.promise.succeed(value)
        }
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        onReadComplete?()
    }

    package func channelInactive(context: ChannelHandlerContext) {
        fail("closed by Redis")
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail("\(error)")
        context.close(promise: nil)
    }
}

@available(*, unavailable)
extension RedisConnection: Sendable {}
