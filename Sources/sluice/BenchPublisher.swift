// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import NIOPosix
import SluiceGateway
import SluiceRedis

/// A way for the load generator's messages. Confined to its event loop.
protocol BenchPublisher {
    /// Sends a message; the future says when it was taken.
    func send(_ payload: ByteBuffer) -> EventLoopFuture<Void>

    func close()
}

/// Messages as Redis commands, in a pipeline.
struct BenchRedisPublisher: BenchPublisher {
    /// A server that is busy fanning out may let us wait.
    private static let timeout = TimeAmount.seconds(60)

    private let connection: RedisConnection
    private let command: RESPCommand

    static func connect(
        to url: RedisURL, channel: String, isLogged: Bool, on eventLoop: any EventLoop
    ) throws -> EventLoopFuture<Confined<any BenchPublisher>> {
        let endpoint = try RedisEndpoint(url: url, clientName: "sluice-bench")
        return RedisConnection.connect(to: endpoint, on: eventLoop).assumeIsolated().flatMap { connection in
            let command: RESPCommand =
                isLogged ? ["FCALL", "sluice_publish", "1", channel] : ["PUBLISH", channel]
            let publisher = Confined<any BenchPublisher>(
                BenchRedisPublisher(connection: connection, command: command), on: eventLoop)
            let isReady = isLogged ? RedisPublisher.install(on: connection) : eventLoop.makeSucceededVoidFuture()
            return isReady.map { publisher }
        }.nonisolated()
    }

    func send(_ payload: ByteBuffer) -> EventLoopFuture<Void> {
        var command = command
        command.words.append(payload)
        return connection.send(command, timeout: BenchRedisPublisher.timeout).map { _ in }
    }

    func close() {
        connection.close()
    }
}

/// Messages as `POST` requests on one connection, so that they stay in order.
final class BenchHTTPPublisher: ChannelInboundHandler, BenchPublisher {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let eventLoop: any EventLoop
    private let head: HTTPRequestHead
    /// What the body has before and behind each message.
    private let pieces: [Substring]
    private var channel: (any Channel)?
    private var waiting = CircularBuffer<EventLoopPromise<Void>>()
    private var status = HTTPResponseStatus.ok
    private var answer = ByteBuffer()

    private init(url: HTTPURL, body: String, token: String?, eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        var head = HTTPRequestHead(version: .http1_1, method: .POST, uri: url.target)
        head.headers.add(name: "Host", value: url.authority)
        head.headers.add(name: "User-Agent", value: "sluice-bench")
        head.headers.add(name: "Content-Type", value: "application/json")
        for (name, value) in HTTPExchange.authorization(token) { head.headers.add(name: name, value: value) }
        self.head = head
        pieces = body.split(separator: "{data}", omittingEmptySubsequences: false)
    }

    static func connect(
        to url: HTTPURL, body: String, token: String?, on eventLoop: any EventLoop
    ) throws -> EventLoopFuture<Confined<any BenchPublisher>> {
        let tls = try url.tlsContext()
        let publisher = NIOLoopBound(
            BenchHTTPPublisher(url: url, body: body, token: token, eventLoop: eventLoop), eventLoop: eventLoop)
        return ClientBootstrap(group: eventLoop)
            .connectTimeout(.seconds(10))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls { try channel.pipeline.syncOperations.addHandler(url.tlsHandler(tls)) }
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandler(publisher.value)
                    publisher.value.channel = channel
                }
            }
            .connect(host: url.host, port: url.port)
            .map { _ in Confined(publisher.value, on: eventLoop) }
    }

    func send(_ payload: ByteBuffer) -> EventLoopFuture<Void> {
        guard let channel, channel.isActive else {
            return eventLoop.makeFailedFuture(PublishRefused(description: "the publisher's connection was closed"))
        }
        var body = ByteBuffer()
        for (index, piece) in pieces.enumerated() {
            if index > 0 { body.writeImmutableBuffer(payload) }
            body.writeSubstring(piece)
        }
        var head = head
        head.headers.add(name: "Content-Length", value: String(body.readableBytes))
        let promise = eventLoop.makePromise(of: Void.self)
        waiting.append(promise)
        channel.write(HTTPClientRequestPart.head(head), promise: nil)
        channel.write(HTTPClientRequestPart.body(.byteBuffer(body)), promise: nil)
        channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
        return promise.futureResult
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            status = head.status
            answer.clear()
        case .body(var bytes):
            if answer.readableBytes < 65_536 { answer.writeBuffer(&bytes) }
        case .end:
            // What comes before the answer proper, as 100 Continue, acknowledges nothing.
            guard status.code >= 200, let promise = waiting.popFirst() else { return }
            if status.code < 300 { return promise.succeed(()) }
            let problem = HTTPExchange.problem(status: status, body: String(buffer: answer))
            promise.fail(PublishRefused(description: "the publisher was answered \(problem)"))
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(PublishRefused(description: "the publisher's connection was closed"))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(error)
        context.close(promise: nil)
    }

    private func fail(_ error: any Error) {
        while let promise = waiting.popFirst() { promise.fail(error) }
    }

    func close() {
        channel?.close(promise: nil)
    }
}

@available(*, unavailable)
extension BenchHTTPPublisher: Sendable {}
