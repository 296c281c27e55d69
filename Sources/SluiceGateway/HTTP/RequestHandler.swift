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

    enum State {
        case idle
        case reading(PendingRequest)
        case answering(HTTPRequestHead)
        /// The answer is on its way to the socket.
        case flushing
        /// Nothing more is read or answered here: the last answer is out, a stream has taken over, or the channel is closed.
        case closed
    }

    let rules: RequestRules
    let shard: Shard
    private var transport: Transport
    let watch: ConnectionGuard
    var state = State.idle
    /// What the answer tells the page that asked.
    var corsHeaders: [(String, String)] = []
    /// The body has to be read, or the answer taken, by then.
    var deadline = NIODeadline.distantFuture
    private var isWatched = false
    /// No more of a body is read until it is known whether it may be sent.
    private var isPaused = false
    /// The end of the request has come.
    var isWhole = false
    var isUnderWay = false
    /// The client has shut its sending side.
    var hasInputEnded = false
    /// Waits for its token to be checked.
    private var tokenCheck: TokenChecks.Queue.Ticket?
    /// Not a weak reference to the channel, because every use of that would take the runtime's slow way then.
    private var context: ChannelHandlerContext?

    package init(rules: RequestRules, shard: Shard, transport: Transport, watch: ConnectionGuard) {
        self.rules = rules
        self.shard = shard
        self.transport = transport
        self.watch = watch
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    var isHTTP2: Bool {
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
        // A connection that was closed reads once more.
        guard case .idle = state, context.channel.isActive else { return }
        begin()
        let sender = Sender(head)
        corsHeaders = rules.corsHeaders(for: sender)
        if let problem = rules.limits.problem(of: head, isHTTP2: isHTTP2) {
            return refuse(problem, head: head, context: context)
        }
        var incoming = admit(head, from: sender, context: context)
        incoming.awaitsContinue =
            head.version != .http1_0 && head.headers.first(name: "expect")?.lowercased() == "100-continue"
        state = .reading(incoming)
        deadline = context.eventLoop.now + rules.limits.bodyTimeout
        if incoming.awaitsContinue, incoming.grant != nil { answerExpectation(of: incoming, context: context) }
    }

    private func begin() {
        isUnderWay = true
        isWhole = false
        watch.requestBegan()
    }

    func end() {
        guard isUnderWay else { return }
        isUnderWay = false
        watch.requestEnded()
    }

    private func answerExpectation(of incoming: PendingRequest, context: ChannelHandlerContext) {
        if let problem = incoming.problem { return refuse(problem, head: incoming.message, context: context) }
        context.writeAndFlush(
            wrapOutboundOut(.head(HTTPResponseHead(version: incoming.message.version, status: .continue))), promise: nil
        )
    }

    /// Decides by its head what a request may do. A body is not read for whoever may not send one.
    private func admit(
        _ message: HTTPRequestHead, from sender: Sender, context: ChannelHandlerContext
    ) -> PendingRequest {
        let (route, head): (Route, RequestHead)
        do throws(HTTPProblem) {
            (route, head) = try rules.read(message, from: sender, peer: watch.peer)
        } catch { return PendingRequest(message: message, grant: .failure(error)) }
        func pending(_ grant: Result<Grant, HTTPProblem>?) -> PendingRequest {
            PendingRequest(message: message, route: route, head: head, grant: grant)
        }
        switch head.permission {
        case .open(let grant), .verified(let grant):
            return pending(head.admitted(grant))
        case .unchecked(let token):
            guard let checks = rules.policy.tokenChecks else { return pending(.failure(.tokenNeeded)) }
            switch checks.check(token, of: asker(head), on: context.eventLoop) {
            case .refused(let refusal): return pending(.failure(HTTPProblem(of: refusal)))
            case .pending(let ticket, let future):
                tokenCheck = ticket
                let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
                future.whenComplete { result in
                    let (handler, context) = bound.value
                    handler.tokenCheck = nil
                    handler.checked(result.mapError { HTTPProblem(of: $0) }, context: context)
                }
                return pending(nil)
            }
        }
    }

    /// Whose turn it takes to have a token checked. A proxy's connection is everybody's.
    private func asker(_ head: RequestHead) -> TokenChecks.Queue.Asker {
        let isProxy = watch.peer.map(rules.policy.proxies.isTrusted) ?? false
        return TokenChecks.Queue.Asker(
            address: head.address?.party, connection: isProxy ? nil : ObjectIdentifier(watch))
    }

    /// The token was checked. There is no other request yet: this one has not been answered.
    private func checked(_ grant: Result<Grant, HTTPProblem>, context: ChannelHandlerContext) {
        guard case .reading(var incoming) = state else { return }
        let hasBegun = isPaused
        resume(context: context)
        incoming.grant = incoming.head.map { head in grant.flatMap { head.admitted($0) } } ?? grant
        state = .reading(incoming)
        if incoming.isWhole {
            carryOut(incoming, context: context)
        } else if incoming.awaitsContinue, !hasBegun {
            answerExpectation(of: incoming, context: context)
        } else if let problem = incoming.problem, incoming.body.readableBytes > 0 {
            refuse(problem, head: incoming.message, context: context)
        }
    }

    private func pause(context: ChannelHandlerContext) {
        guard !isPaused else { return }
        isPaused = true
        // At once, because this is the channel's loop. (A stream of HTTP/2 has no synchronous options.)
        context.channel.setOption(.autoRead, value: false).whenFailure { _ in }
    }

    /// In a turn of its own: what has waited may come before `read` returns. The next request may have paused by then.
    func resume(context: ChannelHandlerContext) {
        guard isPaused else { return }
        isPaused = false
        let channel = context.channel
        context.eventLoop.assumeIsolated().execute { [self] in
            guard !isPaused else { return }
            channel.setOption(.autoRead, value: true).whenFailure { _ in }
            // A stream of HTTP/2 does not begin by itself.
            channel.read()
        }
    }

    private func received(_ bytes: ByteBuffer, context: ChannelHandlerContext) {
        guard case .reading(var incoming) = state else { return }
        if let problem = incoming.problem { return refuse(problem, head: incoming.message, context: context) }
        guard incoming.wantsBody else { return }
        guard incoming.body.readableBytes + bytes.readableBytes <= rules.limits.bodyBytesMax else {
            return refuse(.bodyTooLarge(rules.limits.bodyBytesMax), head: incoming.message, context: context)
        }
        state = .closed  // lets go of the body, so that appending does not copy it
        incoming.body.writeImmutableBuffer(bytes)
        if incoming.grant == nil { pause(context: context) }
        state = .reading(incoming)
    }

    private func receivedEnd(context: ChannelHandlerContext) {
        isWhole = true
        watch.requestIsWhole()
        guard case .reading(var incoming) = state else { return }
        incoming.isWhole = true
        state = .reading(incoming)
        if incoming.grant != nil { carryOut(incoming, context: context) }
    }

    private func carryOut(_ incoming: PendingRequest, context: ChannelHandlerContext) {
        state = .answering(incoming.message)
        guard let route = incoming.route, let head = incoming.head, case .success(let grant) = incoming.grant else {
            return turnDown(incoming, context: context)
        }
        let request = AuthorizedRequest(head: head, grant: grant, body: incoming.body, eventLoop: context.eventLoop)
        do throws(HTTPProblem) {
            switch try route.carryOut(request) {
            case .answer(let answer): send(answer, context: context)
            case .later(let future):
                let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
                future.hop(to: context.eventLoop).whenComplete { result in
                    let (handler, context) = bound.value
                    switch result {
                    case .success(let answer): handler.send(answer, context: context)
                    case .failure(let error): handler.send(Answer(problem: HTTPProblem(of: error)), context: context)
                    }
                }
            case .stream(let request):
                // Not in this call: the decoder is still at work on the bytes that brought the request. Nor at the end of this
                // read: what comes behind the request would pass the guard by, and one that is reset at once would count for
                // a stream.
                let bound = NIOLoopBound(
                    (handler: self, context: context, address: head.address), eventLoop: context.eventLoop)
                context.eventLoop.execute {
                    bound.value.handler.openStream(request, from: bound.value.address, context: bound.value.context)
                }
            }
        } catch {
            send(Answer(problem: error), context: context)
        }
    }

    // MARK: Time

    package func channelReadComplete(context: ChannelHandlerContext) {
        if case .reading = state { beginWatch() }
        context.fireChannelReadComplete()
    }

    /// Most bodies come with their head and most answers are taken at once: only others are looked at.
    func beginWatch() {
        guard !isWatched else { return }
        isWatched = true
        shard.watch(self)
    }

    package func check(now: NIODeadline) -> Bool {
        switch state {
        case .reading, .flushing:
            guard now >= deadline else { return true }
            rules.counters.connectionsTimedOut.add(1)
            context?.channel.close(promise: nil)
        case .idle, .answering, .closed: break
        }
        isWatched = false
        return false
    }

    // MARK: Streams

    private func openStream(
        _ request: Subscription, from address: NetworkAddress?, context: ChannelHandlerContext
    ) {
        guard context.channel.isActive, case .answering(let head) = state else { return }
        let now = context.eventLoop.now
        if [request.client, request.owner].contains(where: { shard.isExiled($0, now: now) }) {
            return send(Answer(status: .noContent), context: context, closing: !isHTTP2)
        }
        guard rules.streams.admits(request, from: address, on: shard, now: now) else {
            return shed(context: context)
        }
        state = .closed
        end()
        let socket: StreamSocket
        let wire: StreamWire
        switch transport {
        case .http1(let isPlain, _):
            socket = StreamSocket(channel: context.channel, isPlain: isPlain)
            wire = head.version == .http1_1 ? .chunked : .plain
        case .http2:
            socket = StreamSocket(http2: context.channel)
            wire = .plain
        }
        let stream = Stream(
            host: shard.host, socket: socket, wire: wire, request: request, extraHeaders: corsHeaders,
            address: address, now: now, expiry: shard.expiry(now: now, token: request.timeLeft))
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
        // Which lets go of its companions.
        let transport = transport
        pipeline.removeHandler(self, promise: nil)
        guard case .http1(_, let companions) = transport else { return }
        // All buffers of the connection are let go of but the first: a stream reads nothing more.
        try? context.channel.syncOptions?.setOption(.maxMessagesPerRead, value: 1)
        for companion in companions { pipeline.removeHandler(companion, promise: nil) }
        watch.leave()
        pipeline.removeHandler(watch, promise: nil)
    }

    // MARK: The end

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { inputEnded(context: context) }
        context.fireUserInboundEventTriggered(event)
    }

    /// A client that has shut its sending side gets the answer to what it has asked for. (Of half a request the decoder
    /// has made an error before.)
    private func inputEnded(context: ChannelHandlerContext) {
        hasInputEnded = true
        switch state {
        case .idle: context.close(promise: nil)
        case .reading(let incoming) where !incoming.isWhole: context.close(promise: nil)
        case .reading, .answering, .flushing, .closed: break
        }
    }

    package func channelInactive(context: ChannelHandlerContext) {
        letGo(context: context)
        context.fireChannelInactive()
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        letGo(context: context)
        self.context = nil
    }

    /// The shard's timer and what is still being done for the request may hold this for a while, and that must not hold all
    /// that the client has sent.
    private func letGo(context: ChannelHandlerContext) {
        switch state {
        case .reading, .answering: if isHTTP2 { AbandonedRequest.report(on: context.channel) }
        case .idle, .flushing, .closed: break
        }
        state = .closed
        if case .http1(let isPlain, _) = transport { transport = .http1(isPlain: isPlain, companions: []) }
        end()
        // Nobody waits for its result any more.
        if let tokenCheck { rules.policy.tokenChecks?.abandon(tokenCheck) }
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
            begin()
            let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/")
            corsHeaders = rules.corsHeaders(for: Sender(head))
            refuse(problem, head: head, context: context)
        case .answering: context.close(promise: nil)
        // Of what came behind, or of a body that was refused: the answer ends the connection.
        case .flushing, .closed: break
        }
    }
}

@available(*, unavailable)
extension RequestHandler: Sendable {}
