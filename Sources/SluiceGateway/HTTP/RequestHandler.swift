// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceCore

/// Takes HTTP requests off one connection, or one request off its HTTP/2 stream, and answers them; a stream's request
/// makes it leave the pipeline.
///
/// NIO's pipelining handler is before it, so there is one request at a time.
package final class RequestHandler: ChannelInboundHandler, RemovableChannelHandler, Watched {
    package typealias InboundIn = HTTPServerRequestPart
    package typealias OutboundOut = HTTPServerResponsePart

    package enum Transport {
        /// - Parameters:
        ///   - isPlain: there is no TLS between the handlers and the socket.
        ///   - companions: NIO's handlers, which leave with this one.
        case http1(isPlain: Bool, companions: [any RemovableChannelHandler])
        case http2
    }

    private enum State {
        case idle
        case reading(IncomingRequest)
        /// The request was answered before it was read; what is left of it is thrown away.
        case discarding
        case answering(HTTPRequestHead)
        /// The answer is on its way to the socket.
        case flushing
        case closed
    }

    private let node: Node
    private let shard: Shard
    private let router: Router
    private let transport: Transport
    private let watch: ConnectionGuard
    private var state = State.idle
    /// What the answer tells the page that asked.
    private var corsHeaders: [(String, String)] = []
    /// The body has to be read, or the answer taken, by then.
    private var deadline = NIODeadline.distantFuture
    private var isWatched = false
    /// No more of a body is read until it is known whether it may be sent.
    private var isPaused = false
    private weak var channel: (any Channel)?

    package init(node: Node, shard: Shard, router: Router, transport: Transport, watch: ConnectionGuard) {
        self.node = node
        self.shard = shard
        self.router = router
        self.transport = transport
        self.watch = watch
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        channel = context.channel
    }

    private var isHTTP2: Bool {
        if case .http2 = transport { true } else { false }
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
        watch.requestBegan()
        let sender = Sender(head)
        corsHeaders = node.origins.headers(for: node.origins.verdict(on: sender))
        if head.uri.utf8.count > node.settings.targetBytesMax {
            return refuse(.targetTooLong(node.settings.targetBytesMax), head: head, context: context)
        }
        // NIO's decoders see to it where they can: HTTP/2's limits the sum of their bytes, HTTP/1's takes the target for one.
        let fieldBytesMax = node.settings.headerBytesMax
        if head.headers.count > node.settings.headerCountMax
            || head.headers.contains(where: { $0.name.utf8.count + $0.value.utf8.count > fieldBytesMax })
        {
            return refuse(.headersTooLarge, head: head, context: context)
        }
        if !isHTTP2, let problem = MessageFraming.problem(head) {
            return refuse(problem, head: head, context: context)
        }
        // Digits, as the parser has seen to: what is no number is a very large one.
        if let length = head.headers[canonicalForm: "content-length"].first,
            Int(length).map({ $0 > node.settings.bodyBytesMax }) ?? true
        {
            return refuse(.bodyTooLarge(node.settings.bodyBytesMax), head: head, context: context)
        }
        var incoming = admit(head, from: sender, context: context)
        incoming.awaitsContinue =
            head.version != .http1_0 && head.headers.first(name: "expect")?.lowercased() == "100-continue"
        state = .reading(incoming)
        deadline = .now() + node.settings.bodyTimeout
        if incoming.awaitsContinue, incoming.grant != nil { answerExpectation(of: incoming, context: context) }
    }

    private func answerExpectation(of incoming: IncomingRequest, context: ChannelHandlerContext) {
        if let problem = incoming.problem { return refuse(problem, head: incoming.head, context: context) }
        context.writeAndFlush(
            wrapOutboundOut(.head(HTTPResponseHead(version: incoming.head.version, status: .continue))), promise: nil)
    }

    /// Decides by its head what a request may do. A body is not read for whoever may not send one.
    private func admit(_ head: HTTPRequestHead, from sender: Sender, context: ChannelHandlerContext) -> IncomingRequest
    {
        let visit: Visit
        do throws(HTTPProblem) {
            visit = try Visit(head: head, sender: sender, router: router, peer: watch.peer, node: node)
        } catch {
            return IncomingRequest(head: head, visit: nil, grant: .failure(error))
        }
        switch visit.permission {
        case .open(let grant), .verified(let grant):
            return IncomingRequest(head: head, visit: visit, grant: visit.admitted(grant))
        case .unchecked(let token):
            guard let tokens = node.tokens else {
                return IncomingRequest(head: head, visit: visit, grant: .failure(.tokenNeeded))
            }
            let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
            context.eventLoop.makeFutureWithTask { try await tokens.verify(token) }.whenComplete { result in
                bound.value.handler.checked(
                    result.mapError { HTTPProblem(of: $0) }, context: bound.value.context)
            }
            return IncomingRequest(head: head, visit: visit)
        }
    }

    /// The token was checked. There is no other request yet: this one has not been answered.
    private func checked(_ grant: Result<Grant, HTTPProblem>, context: ChannelHandlerContext) {
        guard case .reading(var incoming) = state else { return }
        let hasBegun = isPaused
        resume(context: context)
        incoming.grant = incoming.visit.map { visit in grant.flatMap { visit.admitted($0) } } ?? grant
        state = .reading(incoming)
        if incoming.isWhole {
            carryOut(incoming, context: context)
        } else if incoming.awaitsContinue, !hasBegun {
            answerExpectation(of: incoming, context: context)
        } else if let problem = incoming.problem, incoming.body.readableBytes > 0 {
            refuse(problem, head: incoming.head, context: context)
        }
    }

    private func pause(context: ChannelHandlerContext) {
        guard !isPaused else { return }
        isPaused = true
        // At once, because this is the channel's loop. (A stream of HTTP/2 has no synchronous options.)
        context.channel.setOption(.autoRead, value: false).whenFailure { _ in }
    }

    /// In a turn of its own: what has waited may come before `read` returns. The next request may have paused by then.
    private func resume(context: ChannelHandlerContext) {
        guard isPaused else { return }
        isPaused = false
        context.eventLoop.assumeIsolated().execute { [self] in
            guard !isPaused, let channel else { return }
            channel.setOption(.autoRead, value: true).whenFailure { _ in }
            // A stream of HTTP/2 does not begin by itself.
            channel.read()
        }
    }

    private func received(_ bytes: ByteBuffer, context: ChannelHandlerContext) {
        guard case .reading(var incoming) = state else { return }
        if let problem = incoming.problem { return refuse(problem, head: incoming.head, context: context) }
        guard incoming.wantsBody else { return }
        guard incoming.body.readableBytes + bytes.readableBytes <= node.settings.bodyBytesMax else {
            return refuse(.bodyTooLarge(node.settings.bodyBytesMax), head: incoming.head, context: context)
        }
        state = .discarding  // lets go of the body, so that appending does not copy it
        incoming.body.writeImmutableBuffer(bytes)
        if incoming.grant == nil { pause(context: context) }
        state = .reading(incoming)
    }

    private func receivedEnd(context: ChannelHandlerContext) {
        guard case .reading(var incoming) = state else { return }
        incoming.isWhole = true
        state = .reading(incoming)
        if incoming.grant != nil { carryOut(incoming, context: context) }
    }

    private func carryOut(_ incoming: IncomingRequest, context: ChannelHandlerContext) {
        state = .answering(incoming.head)
        guard let visit = incoming.visit, case .success(let grant) = incoming.grant else {
            return turnDown(incoming, context: context)
        }
        let request = Request(head: incoming.head, visit: visit, grant: grant, body: incoming.body, node: node)
        let bound = NIOLoopBound(
            (handler: self, context: context, address: visit.address), eventLoop: context.eventLoop)
        do throws(HTTPProblem) {
            switch try request.carryOut() {
            case .answer(let answer): send(answer, context: context)
            case .later(let future):
                future.hop(to: context.eventLoop).whenComplete { result in
                    let (handler, context, _) = bound.value
                    switch result {
                    case .success(let answer): handler.send(answer, context: context)
                    case .failure(let error): handler.send(Answer(problem: HTTPProblem(of: error)), context: context)
                    }
                }
            case .stream(let request):
                // Not in this call: the decoder is still at work on the bytes that brought the request.
                context.eventLoop.execute {
                    bound.value.handler.openStream(request, from: bound.value.address, context: bound.value.context)
                }
            }
        } catch {
            send(Answer(problem: error), context: context)
        }
    }

    /// Answers a request that was read and may not be carried out. A stream is never answered with a passing fault: an
    /// `EventSource` would take it for the end.
    private func turnDown(_ incoming: IncomingRequest, context: ChannelHandlerContext) {
        let problem = incoming.problem ?? .notFound
        guard incoming.visit?.opensStream == true, problem.status == .serviceUnavailable else {
            return send(Answer(problem: problem), context: context)
        }
        node.counters.streamsShed.add(1)
        shed(context: context)
    }

    private func shed(context: ChannelHandlerContext) {
        let retry = node.retry.afterShed(streams: node.counters.streamsOpen.value)
        let answer = Answer(stream: ControlBlock.prelude(retryMilliseconds: retry))
        send(answer, context: context, closing: !isHTTP2)
    }

    // MARK: Time

    package func channelReadComplete(context: ChannelHandlerContext) {
        if case .reading = state { beginWatch() }
        context.fireChannelReadComplete()
    }

    /// Most bodies come with their head and most answers are taken at once: only others are looked at.
    private func beginWatch() {
        guard !isWatched else { return }
        isWatched = true
        shard.watch(self)
    }

    package func check(now: NIODeadline) -> Bool {
        switch state {
        case .reading, .flushing, .discarding:
            guard now >= deadline else { return true }
            node.counters.connectionsTimedOut.add(1)
            channel?.close(promise: nil)
        case .idle, .answering, .closed: break
        }
        isWatched = false
        return false
    }

    // MARK: Answers

    /// Answers a request that is not read to its end; its connection can't be used again.
    private func refuse(_ problem: HTTPProblem, head: HTTPRequestHead, context: ChannelHandlerContext) {
        resume(context: context)
        state = .answering(head)
        send(Answer(problem: problem), context: context, closing: true)
    }

    private func send(_ answer: Answer, context: ChannelHandlerContext, closing: Bool = false) {
        guard case .answering(let request) = state else { return }
        count(answer)
        let closes =
            closing
            || (!isHTTP2
                && (!request.isKeepAlive || request.version != .http1_1 || request.asksForAnotherProtocol
                    || node.status.isDraining))
        var head = HTTPResponseHead(version: isHTTP2 ? .http2 : .http1_1, status: answer.status)
        for (name, value) in node.headers + corsHeaders + answer.headers { head.headers.add(name: name, value: value) }
        if let type = answer.contentType { head.headers.add(name: "Content-Type", value: type) }
        if answer.status != .noContent {
            head.headers.add(name: "Content-Length", value: String(answer.body.readableBytes))
        }
        if closes, !isHTTP2 { head.headers.add(name: "Connection", value: "close") }
        var parts: [HTTPServerResponsePart] = [.head(head)]
        if request.method != .HEAD, answer.body.readableBytes > 0 { parts.append(.body(.byteBuffer(answer.body))) }
        // NIO's pipelining hands the next request over when it sees the end of an answer, so that comes later.
        if isHTTP2 { parts.append(.end(nil)) }
        // The next request of a pipeline is not looked at before this answer has left: who does not read can't make
        // the node pile answers up. Nor does an HTTP/2 stream stay whose window never opens.
        let written = context.eventLoop.makePromise(of: Void.self)
        let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
        written.futureResult.whenSuccess { bound.value.handler.finish(closing: closes, context: bound.value.context) }
        state = .flushing
        let last = parts.removeLast()
        for part in parts { context.write(wrapOutboundOut(part), promise: nil) }
        context.writeAndFlush(wrapOutboundOut(last), promise: written)
        if case .flushing = state {
            deadline = .now() + node.settings.stall
            beginWatch()
        }
    }

    /// The answer has left.
    private func finish(closing: Bool, context: ChannelHandlerContext) {
        guard case .flushing = state else { return }
        watch.requestEnded()
        if isHTTP2 {
            state = .idle
            guard closing else { return }
            // To reset the stream would take the answer away from a client that is still sending; its body's time is short.
            state = .discarding
            deadline = .now() + node.settings.bodyTimeout
            return beginWatch()
        }
        state = closing ? .closed : .idle
        let ended = context.eventLoop.makePromise(of: Void.self)
        if closing {
            let channel = context.channel
            ended.futureResult.whenComplete { _ in channel.close(promise: nil) }
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: ended)
    }

    private func count(_ answer: Answer) {
        guard answer.isProblem else { return }
        node.counters.requestsRefused.add(1)
        switch answer.status {
        case .unauthorized: node.counters.requestsUnauthorized.add(1)
        case .forbidden: node.counters.requestsForbidden.add(1)
        default: break
        }
    }

    // MARK: Streams

    private func openStream(
        _ request: StreamRequest, from address: NetworkAddress?, context: ChannelHandlerContext
    ) {
        guard context.channel.isActive, case .answering(let head) = state else { return }
        let now = NIODeadline.now()
        if [request.client, request.owner].contains(where: { shard.isExiled($0, now: now) }) {
            return send(Answer(status: .noContent), context: context, closing: !isHTTP2)
        }
        guard node.admits(streamOf: address, client: request.client ?? request.owner, on: shard, now: now) else {
            return shed(context: context)
        }
        state = .closed
        let socket: StreamSocket
        let framing: Stream.Framing
        switch transport {
        case .http1(let isPlain, _):
            socket = StreamSocket(channel: context.channel, isPlain: isPlain)
            framing = head.version == .http1_1 ? .chunked : .plain
        case .http2:
            socket = StreamSocket(http2: context.channel)
            framing = .plain
        }
        let stream = Stream(
            shard: shard, socket: socket, framing: framing,
            state: StreamState(now: now, expiry: shard.expiry(now: now, token: request.timeLeft)), request: request,
            extraHeaders: corsHeaders, address: address)
        takeOver(context, by: stream)
        shard.open(stream, targets: request.targets)
    }

    /// The stream takes the place of everything that was there for requests.
    private func takeOver(_ context: ChannelHandlerContext, by stream: Stream) {
        let pipeline = context.pipeline.syncOperations
        do {
            try pipeline.addHandler(stream)
        } catch {
            return context.close(promise: nil)
        }
        pipeline.removeHandler(self, promise: nil)
        guard case .http1(_, let companions) = transport else { return }
        for companion in companions { pipeline.removeHandler(companion, promise: nil) }
        watch.leave()
        pipeline.removeHandler(watch, promise: nil)
    }

    // MARK: Errors

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? HTTPParserError, !isHTTP2 else { return context.close(promise: nil) }
        switch state {
        case .idle, .reading:
            let problem: HTTPProblem =
                switch error {
                case .headerOverflow: .headersTooLarge
                case .invalidVersion:
                    HTTPProblem(
                        status: .httpVersionNotSupported, code: "version_not_supported",
                        message: "HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here")
                default: .badRequest("this is not HTTP: \(error)")
                }
            let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/")
            corsHeaders = node.origins.headers(for: node.origins.verdict(on: Sender(head)))
            refuse(problem, head: head, context: context)
        case .discarding, .answering, .flushing, .closed:
            context.close(promise: nil)
        }
    }
}

extension HTTPRequestHead {
    /// NIO's parser reads nothing behind such a request, although it is answered in HTTP.
    fileprivate var asksForAnotherProtocol: Bool {
        method == .CONNECT || headers.contains(name: "upgrade")
    }
}

@available(*, unavailable)
extension RequestHandler: Sendable {}
