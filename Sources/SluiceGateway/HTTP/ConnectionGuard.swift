// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOTLS

/// Watches one accepted connection until a stream takes it over: knows who is at the other end, counts it, and ends it
/// if it keeps the node waiting.
///
/// What a stranger can do without a word must be bounded: a connection that says nothing, a handshake or a head that
/// comes a byte a second (slow-loris). Looked at by its shard's timer, because a timer of its own would be dear where
/// thousands of connections come at once.
///
/// Of HTTP/1 it also decides what the decoder gets: nothing ahead of an answer that is still to be given (see ``Intake``),
/// and nothing any more of a connection that only waits for its last answer to arrive (see ``linger(isCut:)``).
package final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler, Watched {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    private enum Phase: Equatable {
        case handshake
        case head
        /// A request is read or answered; whoever does that has its own limits.
        case request
        case idle
        /// The last answer has left, and what still comes is dropped.
        case lingering(until: NIODeadline)
    }

    /// How long an HTTP/2 connection that is told to go may take, where no stream holds it.
    package static let farewell = TimeAmount.seconds(5)
    /// How long a connection may be quiet while its client has still to take the last answer: a client that was answered
    /// before it had sent everything, and any other.
    private static let lingerPauses = (cut: TimeAmount.seconds(5), whole: TimeAmount.seconds(1))
    private static let lingerTime = TimeAmount.seconds(30)
    /// What is read and dropped meanwhile, in bytes.
    private static let lingerBytesMax = 32 << 20

    /// The other end: the socket's, or what a proxy's header says.
    package private(set) var peer: NetworkAddress?
    private let limits: ConnectionLimits
    private let admission: ConnectionAdmission
    private let counters: Counters
    private let eventLoop: any EventLoop
    /// Not a weak reference to the channel, because every use of that would take the runtime's slow way then.
    private var context: ChannelHandlerContext?
    private var phase: Phase
    private var deadline: NIODeadline
    private var isOpen = true
    /// The admin's connections are not the public's.
    private let isPublic: Bool
    /// Holds a place in the quota of its address; not as long as a proxy has still to say whose connection it is.
    private var isCounted = false
    /// Its streams begin and end side by side: it is idle while there is none.
    private var isHTTP2 = false
    private var streams = 0
    private var isDismissed = false
    private var intake = Intake()
    /// The decoder gets nothing without asking here: the loop has streams to serve, too.
    private let turns: Turns
    private var waitsForTurn = false
    /// What a step brings about must not take the next.
    private var isHandingOn = false
    private var lingerPause = TimeAmount.zero
    private var lingerBytes = 0
    /// Requests that were begun and not answered, which a drain waits for: one on HTTP/1, from its first byte on.
    private var requests = 0 {
        didSet { counters.requestsOpen.add(requests - oldValue) }
    }

    package init(
        limits: ConnectionLimits, admission: ConnectionAdmission, counters: Counters, eventLoop: any EventLoop,
        peer: NetworkAddress?, turns: Turns, isPublic: Bool, isTLS: Bool
    ) {
        self.limits = limits
        self.admission = admission
        self.counters = counters
        self.eventLoop = eventLoop
        self.peer = peer
        self.turns = turns
        self.isPublic = isPublic
        phase = isTLS ? .handshake : .head
        deadline = eventLoop.now + (isTLS ? limits.tlsTimeout : limits.headTimeout)
    }

    /// Whether the connection may stay: its address has room for one more, and not too many of its connections come at once.
    package func admit() -> Bool {
        guard isPublic else { return true }
        let verdict = admission.admit(peer, now: eventLoop.now)
        isCounted = verdict == .counted
        return verdict != .refused
    }

    // MARK: What the connection's requests say

    /// The head of a request is there.
    package func requestBegan() {
        requests = isHTTP2 ? requests + 1 : 1
        if !isHTTP2 { phase = .request }
    }

    /// All of the request is there: the decoder gets nothing more before it is answered.
    package func requestIsWhole() {
        if !isHTTP2 { intake.hold() }
    }

    /// The request is answered, or will never be; or a stream is its answer.
    package func requestEnded() {
        requests = isHTTP2 ? requests - 1 : 0
        guard !isHTTP2 else { return }
        intake.release()
        rest()
    }

    /// The decoder may have what came behind the request that was answered. Not before the end of that answer is written:
    /// NIO's pipelining would take the next request for a part of it.
    package func goOn() {
        guard let context, handOn(context: context) else { return }
        context.fireChannelReadComplete()
    }

    /// The last answer of the connection has left. To close with something unread, or that still comes, makes a reset of
    /// it, which takes the answer away from the client. So only this side is closed, and what comes is dropped for a
    /// while, until the client closes its own (RFC 9112 §9.6).
    ///
    /// - Parameter isCut: the request was answered before it was read to its end.
    package func linger(isCut: Bool) {
        guard let context else { return }
        let channel = context.channel
        guard !intake.hasEnded else { return channel.close(promise: nil) }
        // A drain need not wait for a client that has all but the end of the connection.
        if !isCut { requests = 0 }
        intake = Intake()
        lingerPause = isCut ? ConnectionGuard.lingerPauses.cut : ConnectionGuard.lingerPauses.whole
        phase = .lingering(until: eventLoop.now + ConnectionGuard.lingerTime)
        deadline = eventLoop.now + lingerPause
        let closed = context.eventLoop.makePromise(of: Void.self)
        closed.futureResult.whenFailure { _ in channel.close(promise: nil) }
        context.close(mode: .output, promise: closed)
        context.read()
    }

    private func rest() {
        phase = .idle
        deadline = eventLoop.now + limits.idleTimeout
    }

    /// It speaks HTTP/2: a stream has to come in time, as the next request on others.
    package func becameHTTP2() {
        isHTTP2 = true
        requests = 0
        rest()
    }

    package func streamOpened() {
        streams += 1
        phase = .request
    }

    package func streamClosed() {
        streams -= 1
        if streams == 0 { rest() }
    }

    /// A stream has taken the connection over, and counts it from now on.
    package func leave() {
        isOpen = false
        requests = 0
        giveBack()
    }

    private func giveBack() {
        if isCounted { admission.release(peer) }
        isCounted = false
    }

    // MARK: Time

    /// - Returns: whether to look at it again.
    package func check(now: NIODeadline) -> Bool {
        guard isOpen else { return false }
        guard phase != .request, now >= deadline else { return true }
        if case .lingering = phase {
            context?.channel.close(promise: nil)
            return false
        }
        if phase == .idle, isHTTP2, !isDismissed {
            isDismissed = true
            deadline = now + ConnectionGuard.farewell
            context?.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
            return true
        }
        if phase != .idle { counters.connectionsTimedOut.add(1) }
        context?.channel.close(promise: nil)
        return false
    }

    // MARK: Channel

    /// Counted here and no sooner: what never got into its pipeline is never removed from it.
    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        guard isPublic else { return }
        counters.connectionsOpen.add(1)
        counters.connectionsOpened.add(1)
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .lingering(let end) = phase { return drop(unwrapInboundIn(data).readableBytes, until: end) }
        if !isHTTP2 {
            if phase == .idle {
                phase = .head
                deadline = eventLoop.now + limits.headTimeout
            }
            if phase == .head { requests = 1 }
        }
        intake.received(unwrapInboundIn(data))
        handOn(context: context)
    }

    /// Where the decoder has failed, NIO's pipelining asks for nothing any more.
    package func channelReadComplete(context: ChannelHandlerContext) {
        context.fireChannelReadComplete()
        if case .lingering = phase { context.read() }
    }

    private func drop(_ count: Int, until end: NIODeadline) {
        lingerBytes += count
        if lingerBytes > ConnectionGuard.lingerBytesMax { context?.channel.close(promise: nil) }
        deadline = min(eventLoop.now + lingerPause, end)
    }

    /// - Returns: whether there was anything to hand on.
    @discardableResult
    private func handOn(context: ChannelHandlerContext) -> Bool {
        guard !isHandingOn else { return false }
        isHandingOn = true
        defer { isHandingOn = false }
        var hasBytes = false
        while context.channel.isActive {
            guard !intake.isReady || turns.hasTime() else {
                waitForTurn()
                break
            }
            guard let step = intake.next() else { break }
            switch step {
            case .bytes(let bytes):
                hasBytes = true
                context.fireChannelRead(wrapInboundOut(bytes))
            // What was read before has made it HTTP/2 meanwhile, where nobody else looks for this.
            case .end where isHTTP2: context.close(promise: nil)
            case .end: context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
            case .read: context.read()
            }
        }
        return hasBytes
    }

    private func waitForTurn() {
        guard !waitsForTurn else { return }
        waitsForTurn = true
        // A connection that is gone by then has lost its context, and what it had sent is dropped.
        turns.wait { [self] in
            waitsForTurn = false
            goOn()
        }
    }

    package func read(context: ChannelHandlerContext) {
        if intake.mayRead() { context.read() }
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case TLSUserEvent.handshakeCompleted where phase == .handshake:
            phase = .head
            deadline = eventLoop.now + limits.headTimeout
        case let source as ProxyHeader.Source:
            giveBack()
            peer = source.address
            guard admit() else { return context.close(promise: nil) }
        case ChannelEvent.inputClosed:
            // On HTTP/2 the end of a request is a frame; without its sending side there is no connection.
            guard !isHTTP2 else { return context.close(promise: nil) }
            intake.ended()
            handOn(context: context)
            return
        default: break
        }
        context.fireUserInboundEventTriggered(event)
    }

    /// Comes also for a connection that was refused before it was active.
    package func handlerRemoved(context: ChannelHandlerContext) {
        // NIO's HTTP/2 keeps the streams of a read until its end, which does not come where the connection ends in the
        // middle of it: without this, a client that is thrown out would stay in memory for ever.
        if isHTTP2 { context.fireChannelReadComplete() }
        self.context = nil
        let hasUntoldEnd = intake.hasUntoldEnd
        intake = Intake()
        guard isOpen else {
            // The stream that has taken the connection over has to know.
            if hasUntoldEnd { context.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
            return
        }
        isOpen = false
        requests = 0
        if isPublic { counters.connectionsOpen.add(-1) }
        giveBack()
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Garbage instead of a handshake, or none of our versions and ciphers.
        if phase == .handshake { counters.handshakesFailed.add(1) }
        context.fireErrorCaught(error)
        if phase == .handshake { context.close(promise: nil) }
    }
}

@available(*, unavailable)
extension ConnectionGuard: Sendable {}
