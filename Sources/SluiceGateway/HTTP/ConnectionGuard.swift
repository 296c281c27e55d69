// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOTLS

/// Watches one accepted connection until a stream takes it over: knows who is at the other end, counts it, and ends it
/// if it keeps the node waiting.
///
/// What a stranger can do without a word must be bounded: a connection that says nothing, a handshake or a head that
/// comes a byte a second (slow-loris). Looked at by its shard's timer, because a timer of its own would be dear where
/// thousands of connections come at once.
package final class ConnectionGuard: ChannelInboundHandler, RemovableChannelHandler, Watched {
    package typealias InboundIn = ByteBuffer

    private enum Phase: Equatable {
        case handshake
        case head
        /// A request is read or answered; whoever does that has its own limits.
        case request
        case idle
    }

    /// How long an HTTP/2 connection that is told to go may take, where no stream holds it.
    package static let farewell = TimeAmount.seconds(5)

    /// The other end: the socket's, or what a proxy's header says.
    package private(set) var peer: NetworkAddress?
    private let node: Node
    private weak var channel: (any Channel)?
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

    package init(node: Node, channel: any Channel, peer: NetworkAddress?, isPublic: Bool, isTLS: Bool) {
        self.node = node
        self.channel = channel
        self.peer = peer
        self.isPublic = isPublic
        phase = isTLS ? .handshake : .head
        deadline = .now() + (isTLS ? node.settings.tlsTimeout : node.settings.headTimeout)
    }

    /// Whether the connection may stay: its address has room for one more.
    package func admit() -> Bool {
        // A trusted proxy brings everybody's connections.
        guard isPublic, let peer, !node.proxies.isTrusted(peer) else { return true }
        isCounted = node.connectionQuotas.admit(address: peer, client: nil) == nil
        if !isCounted {
            node.counters.connectionsRefused.add(1)
            node.report(.streamsPerAddress, address: peer)
        }
        return isCounted
    }

    // MARK: What the connection's requests say

    /// The head of a request is whole.
    package func requestBegan() {
        if !isHTTP2 { phase = .request }
    }

    /// The request is answered.
    package func requestEnded(now: NIODeadline = .now()) {
        if !isHTTP2 { rest(now: now) }
    }

    private func rest(now: NIODeadline) {
        phase = .idle
        deadline = now + node.settings.idleTimeout
    }

    /// It speaks HTTP/2: a stream has to come in time, as the next request on others.
    package func becameHTTP2(now: NIODeadline = .now()) {
        isHTTP2 = true
        rest(now: now)
    }

    package func streamOpened() {
        streams += 1
        phase = .request
    }

    package func streamClosed(now: NIODeadline = .now()) {
        streams -= 1
        if streams == 0 { rest(now: now) }
    }

    /// A stream has taken the connection over, and counts it from now on.
    package func leave() {
        isOpen = false
        giveBack()
    }

    private func giveBack() {
        if isCounted { node.connectionQuotas.release(address: peer, client: nil) }
        isCounted = false
    }

    // MARK: Time

    /// - Returns: whether to look at it again.
    package func check(now: NIODeadline) -> Bool {
        guard isOpen else { return false }
        guard phase != .request, now >= deadline else { return true }
        if phase == .idle, isHTTP2, !isDismissed {
            isDismissed = true
            deadline = now + ConnectionGuard.farewell
            channel?.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
            return true
        }
        if phase != .idle { node.counters.connectionsTimedOut.add(1) }
        channel?.close(promise: nil)
        return false
    }

    // MARK: Channel

    /// Counted here and no sooner: what never got into its pipeline is never removed from it.
    package func handlerAdded(context: ChannelHandlerContext) {
        guard isPublic else { return }
        node.counters.connectionsOpen.add(1)
        node.counters.connectionsOpened.add(1)
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if phase == .idle, !isHTTP2 {
            phase = .head
            deadline = .now() + node.settings.headTimeout
        }
        context.fireChannelRead(data)
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case TLSUserEvent.handshakeCompleted where phase == .handshake:
            phase = .head
            deadline = .now() + node.settings.headTimeout
        case let source as ProxyHeader.Source:
            giveBack()
            peer = source.address
            guard admit() else { return context.close(promise: nil) }
        default: break
        }
        context.fireUserInboundEventTriggered(event)
    }

    /// Comes also for a connection that was refused before it was active.
    package func handlerRemoved(context: ChannelHandlerContext) {
        // NIO's HTTP/2 keeps the streams of a read until its end, which does not come where the connection ends in the
        // middle of it: without this, a client that is thrown out would stay in memory for ever.
        if isHTTP2 { context.fireChannelReadComplete() }
        guard isOpen else { return }
        isOpen = false
        if isPublic { node.counters.connectionsOpen.add(-1) }
        giveBack()
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Garbage instead of a handshake, or none of our versions and ciphers.
        if phase == .handshake { node.counters.handshakesFailed.add(1) }
        context.fireErrorCaught(error)
        if phase == .handshake { context.close(promise: nil) }
    }
}

@available(*, unavailable)
extension ConnectionGuard: Sendable {}
