// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import NIOPosix

/// One HTTP/1.1 connection for requests with short answers, several of which may be under way (pipelining).
///
/// Confined to its event loop.
final class HTTPConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    struct Reply: Sendable {
        let status: HTTPResponseStatus
        let body: ByteBuffer
    }

    /// More than this is not an answer to a publish.
    private static let bodyBytesMax = 16 * 1024 * 1024
    private static let replyTimeout = TimeAmount.seconds(30)

    private struct Waiting {
        let deadline: NIODeadline
        let promise: EventLoopPromise<Reply>
    }

    private let eventLoop: any EventLoop
    private var channel: (any Channel)?
    private var waiting = CircularBuffer<Waiting>()
    private var head: HTTPResponseHead?
    private var body = ByteBuffer()
    private var timer: Scheduled<Void>?
    private var isFlushScheduled = false
    private(set) var isOpen = true
    private(set) var lastReply = NIODeadline.now()

    private init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    static func connect(
        _ dialer: WebDialer, on eventLoop: any EventLoop
    ) -> EventLoopFuture<NIOLoopBound<HTTPConnection>> {
        eventLoop.flatSubmit {
            let connection = NIOLoopBound(HTTPConnection(eventLoop: eventLoop), eventLoop: eventLoop)
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
    func post(_ target: String, headers: HTTPHeaders, body: ByteBuffer) -> EventLoopFuture<Reply> {
        guard isOpen, let channel else { return eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel) }
        let promise = eventLoop.makePromise(of: Reply.self)
        waiting.append(Waiting(deadline: .now() + HTTPConnection.replyTimeout, promise: promise))
        var head = HTTPRequestHead(version: .http1_1, method: .POST, uri: target, headers: headers)
        head.headers.replaceOrAdd(name: "Content-Length", value: String(body.readableBytes))
        channel.write(HTTPClientRequestPart.head(head), promise: nil)
        if body.readableBytes > 0 { channel.write(HTTPClientRequestPart.body(.byteBuffer(body)), promise: nil) }
        channel.write(HTTPClientRequestPart.end(nil), promise: nil)
        scheduleFlush(channel)
        armTimer()
        return promise.futureResult
    }

    func close() {
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
            if first.deadline > .now() { return armTimer() }
            fail(Failure("no answer in time"))
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

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            // 100 Continue and the like come before the answer.
            self.head = head
            body.clear()
        case .body(var part):
            body.writeBuffer(&part)
            if body.readableBytes > HTTPConnection.bodyBytesMax {
                fail(Failure("the answer is too long"))
                context.close(promise: nil)
            }
        case .end: finishReply(context: context)
        }
    }

    private func finishReply(context: ChannelHandlerContext) {
        guard let head, let first = waiting.popFirst() else { return }
        self.head = nil
        lastReply = .now()
        let reply = Reply(status: head.status, body: body)
        body = ByteBuffer()
        if !head.isKeepAlive {
            first.promise.succeed(reply)
            fail(ChannelError.ioOnClosedChannel)
            return context.close(promise: nil)
        }
        first.promise.succeed(reply)
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(ChannelError.eof)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(error)
        context.close(promise: nil)
    }
}

@available(*, unavailable)
extension HTTPConnection: Sendable {}
