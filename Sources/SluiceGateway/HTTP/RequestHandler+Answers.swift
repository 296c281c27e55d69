// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import NIOHTTP2
import SluiceCore

/// How a request is answered, and what becomes of its connection then.
extension RequestHandler {
    /// Answers a request that is not read to its end; its connection can't be used again.
    func refuse(_ problem: HTTPProblem, head: HTTPRequestHead, context: ChannelHandlerContext) {
        resume(context: context)
        state = .answering(head)
        send(Answer(problem: problem), context: context, closing: true)
    }

    func send(_ answer: Answer, context: ChannelHandlerContext, closing: Bool = false) {
        guard case .answering(let request) = state else { return }
        count(answer)
        let closes =
            !isHTTP2
            && (closing || hasInputEnded || !request.isKeepAlive || request.version != .http1_1
                || request.asksForAnotherProtocol || rules.status.isDraining)
        let head = answer.head(
            isHTTP2 ? .http2 : .http1_1, common: rules.headers + corsHeaders, closes: closes)
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
            deadline = context.eventLoop.now + rules.limits.answerTimeout
            beginWatch()
        }
    }

    /// The answer has left.
    private func finish(closing: Bool, context: ChannelHandlerContext) {
        guard case .flushing = state else { return }
        if isHTTP2 {
            state = .closed
            end()
            if !isWhole { stopUpload(context: context) }
            return
        }
        // Nothing is behind it where the client has shut its sending side.
        let closes = closing || hasInputEnded
        state = closes ? .closed : .idle
        if closes { isUnderWay = false } else { end() }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        if closes { watch.linger(isCut: !isWhole) } else { watch.goOn() }
    }

    /// Tells an HTTP/2 client that has its answer to send no more of its request (RFC 9113 §8.1): no error, so that it does
    /// not forget the answer. To close the stream would say that it was cancelled.
    private func stopUpload(context: ChannelHandlerContext) {
        let codec = try? context.pipeline.syncOperations.context(
            handlerType: HTTP2FramePayloadToHTTP1ServerCodec.self)
        guard let codec else { return context.close(promise: nil) }
        codec.writeAndFlush(NIOAny(HTTP2Frame.FramePayload.rstStream(.noError)), promise: nil)
    }

    private func count(_ answer: Answer) {
        guard answer.isProblem else { return }
        rules.counters.requestsRefused[RefusalCode(answer.status)].add(1)
    }

    /// Answers a request that was read and may not be carried out. A stream is never answered with a passing fault: an
    /// `EventSource` would take it for the end.
    func turnDown(_ incoming: PendingRequest, context: ChannelHandlerContext) {
        let problem = incoming.problem ?? .notFound
        guard incoming.head?.opensStream == true, problem.status == .serviceUnavailable else {
            return send(Answer(problem: problem), context: context)
        }
        rules.counters.streamsShed[.unavailable].add(1)
        shed(context: context)
    }

    func shed(context: ChannelHandlerContext) {
        let answer = Answer(stream: ControlBlock.prelude(retryMilliseconds: rules.streams.retryMilliseconds))
        send(answer, context: context, closing: !isHTTP2)
    }
}

extension HTTPRequestHead {
    /// NIO's parser reads nothing behind such a request, although it is answered in HTTP.
    fileprivate var asksForAnotherProtocol: Bool {
        method == .CONNECT || headers.contains(name: "upgrade")
    }
}
