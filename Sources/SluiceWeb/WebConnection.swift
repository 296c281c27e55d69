// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import NIOPosix

/// One HTTP/1.1 connection for requests with short answers, several of which may be under way (pipelining).
///
/// Confined to its event loop.
package final class WebConnection: ChannelInboundHandler {
    package typealias InboundIn = HTTPClientResponsePart
    package typealias OutboundOut = HTTPClientRequestPart

    package struct Reply: Sendable {
        package let status: HTTPResponseStatus
        package let headers: HTTPHeaders
        package let body: ByteBuffer
    }

    package struct Limits: Sendable {
        package var bodyBytesMax: Int
        /// From the request to the end of its answer.
        package var replyTimeout: TimeAmount

        package init(bodyBytesMax: Int = 16 << 20, replyTimeout: TimeAmount = .seconds(30)) {
            self.bodyBytesMax = bodyBytesMax
            self.replyTimeout = replyTimeout
        }
    }

    package enum Failure: Error, CustomStringConvertible {
        case noAnswer
        case answerTooLong

        package var description: String {
            switch self {
            case .noAnswer: "no answer in time"
            case .answerTooLong: "the answer is too long"
            }
        }
    }

    private struct Waiting {
        let deadline: NIODeadline
        let promise: EventLoopPromise<Reply>
    }

    private let eventLoop: any EventLoop
    private let limits: Limits
    private var channel: (any Channel)?
    private var waiting = CircularBuffer<Waiting>()
    private var head: HTTPResponseHead?
    private var body = ByteBuffer()
    private var timer: Scheduled<Void>?
    private var isFlushScheduled = false
    package private(set) var isOpen = true
    package private(set) var lastReply: NIODeadline
    /// An answer is waited for.
    package var isBusy: Bool { !waiting.isEmpty }

    private init(eventLoop: any EventLoop, limits: Limits) {
        self.eventLoop = eventLoop
        lastReply = eventLoop.now
        self.limits = limits
    }

    package static func connect(
        _ dialer: WebDialer, on eventLoop: any EventLoop, limits: Limits = Limits()
    ) -> EventLoopFuture<NIOLoopBound<WebConnection>> {
        eventLoop.flatSubmit {
            let connection = NIOLoopBound(WebConnection(eventLoop: eventLoop, limits: limits), eventLoop: eventLoop)
            let bootstrap = dialer.bootstrap(on: eventLoop) { channel in
                try channel.pipeline.syncOperations.addHTTPClientHandlers()
                try channel.pipeline.syncOperations.addHandler(connection.value)
            }
            return bootstrap.connect(host: dialer.address.host, port: dialer.address.port).map { channel in
                connection.value.channel = channel
                return connection
            }
        }
    }

    /// Sends a `POST`; those of one turn of the loop share a write. To be called on the loop.
    package func post(_ target: String, headers: HTTPHeaders, body: ByteBuffer) -> EventLoopFuture<Reply> {
        var headers = headers
        headers.replaceOrAdd(name: "Content-Length", value: String(body.readableBytes))
        return send(HTTPRequestHead(version: .http1_1, method: .POST, uri: target, headers: headers), body: body)
    }

    /// Sends a `GET`. To be called on the loop.
    package func get(_ target: String, headers: HTTPHeaders) -> EventLoopFuture<Reply> {
        send(HTTPRequestHead(version: .http1_1, method: .GET, uri: target, headers: headers), body: ByteBuffer())
    }

    private func send(_ head: HTTPRequestHead, body: ByteBuffer) -> EventLoopFuture<Reply> {
        guard isOpen, let channel else { return eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel) }
        let promise = eventLoop.makePromise(of: Reply.self)
        waiting.append(Waiting(deadline: eventLoop.now + limits.replyTimeout, promise: promise))
        channel.write(HTTPClientRequestPart.head(head), promise: nil)
        if body.readableBytes > 0 { channel.write(HTTPClientRequestPart.body(.byteBuffer(body)), promise: nil) }
        channel.write(HTTPClientRequestPart.end(nil), promise: nil)
        scheduleFlush(channel)
        armTimer()
        return promise.futureResult
    }

    package func close() {
        fail(ChannelError.ioOnClosedChannel)
        channel?.close(promise: nil)
    }

    private func scheduleFlush(_ channel: any Channel) {
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        eventLoop.assumeIsolated().execute { [self] in
            isFlushScheduled = false
            channel.flush()
        }
    }

    /// One timer for the connection, set for the oldest request.
    private func armTimer() {
        guard timer == nil, let first = waiting.first else { return }
        timer = eventLoop.assumeIsolated().scheduleTask(deadline: first.deadline) { [self] in
            timer = nil
            guard let first = waiting.first else { return }
            if first.deadline > eventLoop.now { return armTimer() }
            fail(Failure.noAnswer)
            channel?.close(promise: nil)
        }
    }

    private func fail(_ error: any Error) {
        isOpen = false
        timer?.cancel()
        timer = nil
        let unanswered = waiting
        waiting.removeAll()
        for request in unanswered { request.promise.fail(error) }
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            // 100 Continue and the like come before the answer.
            self.head = head
            body.clear()
        case .body(var part):
            body.writeBuffer(&part)
            if body.readableBytes > limits.bodyBytesMax {
                fail(Failure.answerTooLong)
                context.close(promise: nil)
            }
        case .end: finishReply(context: context)
        }
    }

    private func finishReply(context: ChannelHandlerContext) {
        guard let head, let first = waiting.popFirst() else { return }
        self.head = nil
        lastReply = eventLoop.now
        let reply = Reply(status: head.status, headers: head.headers, body: body)
        body = ByteBuffer()
        if !head.isKeepAlive {
            first.promise.succeed(reply)
            fail(ChannelError.ioOnClosedChannel)
            return context.close(promise: nil)
        }
        first.promise.succeed(reply)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        fail(ChannelError.eof)
        context.fireChannelInactive()
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(error)
        context.close(promise: nil)
    }
}

@available(*, unavailable)
extension WebConnection: Sendable {}
