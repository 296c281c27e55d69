// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceCore

/// Takes HTTP requests off one connection and answers them; a stream's request makes it leave the pipeline.
///
/// NIO's pipelining handler is before it, so there is one request at a time.
package final class RequestHandler: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = HTTPServerRequestPart
    package typealias OutboundOut = HTTPServerResponsePart

    private enum State {
        case idle
        case reading(HTTPRequestHead, body: ByteBuffer)
        /// The request was answered before it was read; what is left of it is thrown away.
        case discarding
        case answering(HTTPRequestHead)
        case closed
    }

    private static let targetBytesMax = 8192

    private let node: Node
    private let shard: Shard
    private let router: Router
    /// NIO's handlers, which leave with this one.
    private let companions: [any RemovableChannelHandler]
    private var state = State.idle

    package init(node: Node, shard: Shard, router: Router, companions: [any RemovableChannelHandler]) {
        self.node = node
        self.shard = shard
        self.router = router
        self.companions = companions
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): received(head, context: context)
        case .body(let bytes): received(bytes, context: context)
        case .end: receivedEnd(context: context)
        }
    }

    private func received(_ head: HTTPRequestHead, context: ChannelHandlerContext) {
        guard case .idle = state else { return }
        if head.uri.utf8.count > RequestHandler.targetBytesMax {
            return refuse(.targetTooLong, head: head, context: context)
        }
        if let length = head.headers.first(name: "content-length").flatMap({ Int($0) }),
            length > node.settings.bodyBytesMax
        {
            return refuse(.bodyTooLarge(node.settings.bodyBytesMax), head: head, context: context)
        }
        state = .reading(head, body: ByteBuffer())
        if head.version == .http1_1, head.headers.first(name: "expect")?.lowercased() == "100-continue" {
            context.writeAndFlush(
                wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))), promise: nil)
        }
    }

    private func received(_ bytes: ByteBuffer, context: ChannelHandlerContext) {
        guard case .reading(let head, var body) = state else { return }
        guard body.readableBytes + bytes.readableBytes <= node.settings.bodyBytesMax else {
            return refuse(.bodyTooLarge(node.settings.bodyBytesMax), head: head, context: context)
        }
        state = .discarding  // lets go of the body, so that appending does not copy it
        body.writeImmutableBuffer(bytes)
        state = .reading(head, body: body)
    }

    private func receivedEnd(context: ChannelHandlerContext) {
        guard case .reading(let head, let body) = state else { return }
        state = .answering(head)
        let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
        switch router.route(head, body: body, node: node) {
        case .answer(let answer): send(answer, context: context)
        case .later(let future):
            future.hop(to: context.eventLoop).whenComplete { result in
                let (handler, context) = bound.value
                switch result {
                case .success(let answer): handler.send(answer, context: context)
                case .failure(let error): handler.send(Answer(problem: HTTPProblem(of: error)), context: context)
                }
            }
        case .stream(let request):
            // Not in this call: the decoder is still at work on the bytes that brought the request.
            context.eventLoop.execute {
                bound.value.handler.openStream(request, head: head, context: bound.value.context)
            }
        }
    }

    // MARK: Answers

    /// Answers a request that is not read to its end; its connection can't be used again.
    private func refuse(_ problem: HTTPProblem, head: HTTPRequestHead, context: ChannelHandlerContext) {
        state = .answering(head)
        send(Answer(problem: problem), context: context, closing: true)
        if case .closed = state { return }
        state = .discarding
    }

    private func send(_ answer: Answer, context: ChannelHandlerContext, closing: Bool = false) {
        guard case .answering(let request) = state else { return }
        if answer.isProblem { node.counters.requestsRefused.add(1) }
        let closes = closing || !request.isKeepAlive || request.version != .http1_1 || node.status.isDraining
        var head = HTTPResponseHead(version: .http1_1, status: answer.status)
        for (name, value) in node.headers + answer.headers { head.headers.add(name: name, value: value) }
        if let type = answer.contentType { head.headers.add(name: "Content-Type", value: type) }
        if answer.status != .noContent {
            head.headers.add(name: "Content-Length", value: String(answer.body.readableBytes))
        }
        if closes { head.headers.add(name: "Connection", value: "close") }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if request.method != .HEAD, answer.body.readableBytes > 0 {
            context.write(wrapOutboundOut(.body(.byteBuffer(answer.body))), promise: nil)
        }
        state = closes ? .closed : .idle
        let written = context.eventLoop.makePromise(of: Void.self)
        if closes {
            let channel = context.channel
            written.futureResult.whenComplete { _ in channel.close(promise: nil) }
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
    }

    // MARK: Streams

    private func openStream(_ request: StreamRequest, head: HTTPRequestHead, context: ChannelHandlerContext) {
        guard context.channel.isActive, case .answering = state else { return }
        let open = node.counters.streamsOpen.value
        if node.status.isDraining || open >= node.streamsMax || !shard.admits(now: .now()) {
            node.counters.streamsShed.add(1)
            let retry = ControlBlock.prelude(retryMilliseconds: node.retry.afterShed(streams: open))
            return send(Answer(stream: retry), context: context, closing: true)
        }
        state = .closed
        let now = NIODeadline.now()
        let stream = Stream(
            shard: shard, socket: StreamSocket(channel: context.channel, isPlain: true),
            framing: head.version == .http1_1 ? .chunked : .plain,
            state: StreamState(now: now, expiry: shard.expiry(now: now)), request: request)
        let pipeline = context.pipeline.syncOperations
        do {
            try pipeline.addHandler(stream)
        } catch {
            return context.close(promise: nil)
        }
        let shard = shard
        pipeline.removeHandler(self, promise: nil)
        for companion in companions { pipeline.removeHandler(companion, promise: nil) }
        shard.open(stream, targets: request.targets)
    }

    // MARK: Errors

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? HTTPParserError else { return context.close(promise: nil) }
        switch state {
        case .idle, .reading:
            let problem: HTTPProblem =
                switch error {
                case .headerOverflow: .headersTooLarge
                case .invalidVersion:
                    HTTPProblem(
                        status: .httpVersionNotSupported, code: "version_not_supported",
                        message: "HTTP/1.0 and HTTP/1.1 are spoken here")
                default: .badRequest("this is not HTTP: \(error)")
                }
            let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/")
            refuse(problem, head: head, context: context)
        case .discarding, .answering, .closed:
            context.close(promise: nil)
        }
    }
}

@available(*, unavailable)
extension RequestHandler: Sendable {}
