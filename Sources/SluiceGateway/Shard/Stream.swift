// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceCore

/// One open `text/event-stream` response: its machine, its subscription and its way out.
///
/// The last handler of its channel; lives on the channel's loop, which is its shard's.
package final class Stream: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer

    private struct Membership {
        let subscribers: Subscribers
        var place: Int32
    }

    package let socket: StreamSocket
    package var machine: StreamMachine
    /// The client that its token is of, if it does not listen to that one anyway.
    package let owner: Target?
    /// Fields of its response head only, until that is out.
    package var extraHeaders: [(String, String)]
    /// Whose quota it takes a place of.
    package let address: NetworkAddress?
    /// The batch in which this stream was last collected for a write, by its end, and the group that collected it.
    package var dirtyBatch: UInt64 = 0
    package var dirtyGroup: Int32 = 0
    package var isDirtyTwice = false
    package let wire: StreamWire
    /// While it is behind, only the newest event of each key is wanted.
    package let conflates: Bool

    private unowned let shard: Shard
    private var memberships: [Membership] = []

    package init(
        shard: Shard, socket: StreamSocket, wire: StreamWire, request: StreamRequest,
        extraHeaders: [(String, String)], address: NetworkAddress?, now: NIODeadline, expiry: NIODeadline?
    ) {
        self.shard = shard
        self.socket = socket
        self.wire = wire
        self.machine = StreamMachine(
            now: now, expiry: expiry, resume: request.resume, hasCheckpoints: request.hasCheckpoints)
        self.conflates = request.conflates
        self.owner = request.owner
        self.extraHeaders = extraHeaders
        self.address = address
    }

    // MARK: Subscription

    package func join(_ subscribers: Subscribers) {
        memberships.append(Membership(subscribers: subscribers, place: subscribers.add(self)))
    }

    package func moved(in subscribers: Subscribers, to place: Int32) {
        for index in memberships.indices where memberships[index].subscribers === subscribers {
            memberships[index].place = place
        }
    }

    /// Leaves every target; what it listened to is returned.
    package func leaveAll() -> [Subscribers] {
        let left = memberships
        memberships = []
        for membership in left { membership.subscribers.remove(at: membership.place) }
        return left.map(\.subscribers)
    }

    package var targets: StreamTargets {
        var targets = StreamTargets()
        for membership in memberships { targets.add(membership.subscribers.target, membership.subscribers.feed) }
        return targets
    }

    /// The client whose events it gets; nil: only topics'.
    package var client: Target? {
        memberships.first { $0.subscribers.target.kind == .client }?.subscribers.target
    }

    package var subscriptions: [Subscribers] { memberships.map(\.subscribers) }

    package var numbers: some Sequence<TargetNumber> { memberships.lazy.compactMap(\.subscribers.number) }

    // MARK: Channel

    /// What a client sends behind its request is of no interest.
    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {}

    /// The client has shut its sending side, or is gone: only what is written to it tells.
    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { shard.inputEnded(self) }
        context.fireUserInboundEventTriggered(event)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        if socket.isHTTP2, !machine.isHeadSent { AbandonedRequest.report(on: context.channel) }
        shard.closed(self)
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Garbage behind the request, which NIO hands over while its handlers leave: before the shard knows the stream.
        if error is HTTPParserError { return }
        context.close(promise: nil)
    }
}

@available(*, unavailable)
extension Stream: Sendable {}
