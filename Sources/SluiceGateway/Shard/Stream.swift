// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceCore

/// One open `text/event-stream` response: its state, its subscription and its way out.
///
/// The last handler of its channel; lives on the channel's loop, which is its shard's.
package final class Stream: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer

    package enum Framing {
        /// HTTP/1.1: each frame is a chunk of its own.
        case chunked
        /// The blocks as they are: HTTP/1.0, where the end of the connection is the end of the stream, and HTTP/2, which
        /// has frames of its own.
        case plain
    }

    private struct Membership {
        let subscribers: Subscribers
        var place: Int32
    }

    package let framing: Framing
    package let socket: StreamSocket
    package var state: StreamState
    /// Sends checkpoints while it is quiet; a client may ask for none.
    package let hasCheckpoints: Bool
    /// While it is behind, only the newest event of each key is wanted.
    package let conflates: Bool
    /// Has a client id: it never ends because its topics have.
    package let hasClient: Bool
    package private(set) var resume: StreamRequest.Resume
    /// The client that its token is of, if it does not listen to that one anyway.
    package let owner: Target?
    /// Fields of its response head only, until that is out.
    package var extraHeaders: [(String, String)]
    /// Whose quota it takes a place of.
    package let address: NetworkAddress?
    package var isHeadSent = false
    /// The first cursor of a resumed stream follows its replay.
    package var owesCheckpoint = false
    /// What is being read from the logs for this stream.
    package var replay: StreamReplay?
    /// A gap that came up while the socket was full. An array, because an empty one costs a word.
    package var owedGap: [Gap] = []
    /// Targets that Redis has not confirmed yet.
    package var unconfirmed = 0
    /// The batch in which this stream was last marked for a write, by its end, and the group that marked it.
    package var dirtyBatch: UInt64 = 0
    package var dirtyGroup: Int32 = 0
    package var isDirtyTwice = false
    /// Was given late events since the last tick.
    package var hadLate = false

    /// Writes that wait in the channel: bytes must not pass them by.
    package var queuedWrites: Int32 = 0

    private unowned let shard: Shard
    private var queuedBytes = 0
    private var memberships: [Membership] = []

    package init(
        shard: Shard, socket: StreamSocket, framing: Framing, state: StreamState, request: StreamRequest,
        extraHeaders: [(String, String)], address: NetworkAddress?
    ) {
        self.shard = shard
        self.socket = socket
        self.framing = framing
        self.state = state
        self.hasCheckpoints = request.hasCheckpoints
        self.conflates = request.conflates
        self.hasClient = request.targets.contains { $0.kind == .client }
        self.resume = request.resume
        self.owner = request.owner
        self.extraHeaders = extraHeaders
        self.address = address
    }

    /// Its head goes out before it can begin. The client takes itself for connected then, so what is published from here on
    /// is its own, as if it had come with this cursor.
    package func promise(after clock: EventID) {
        if case .fresh = resume, clock > .zero { resume = .after(Cursor(clock)) }
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

    package var targets: [Target] { memberships.map(\.subscribers.target) }

    /// The client whose events it gets; nil: only topics'.
    package var client: Target? {
        hasClient ? memberships.first { $0.subscribers.target.kind == .client }?.subscribers.target : nil
    }

    package var subscriptions: [Subscribers] { memberships.map(\.subscribers) }

    /// The newest of the ids that closed its topics, if they are all closed and nothing else can come: what is published
    /// to everybody has no end.
    package var endOfAll: EventID? {
        if hasClient { return nil }
        var last: EventID?
        for membership in memberships where membership.subscribers.target.kind == .topic {
            guard case .ended(let id) = membership.subscribers.end else { return nil }
            last = max(last ?? id, id)
        }
        return last
    }

    package func listens(to number: TargetNumber) -> Bool {
        for membership in memberships where membership.subscribers.number == number { return true }
        return false
    }

    /// A large rest may take long to go out: as long as some of it does, the stream is alive.
    package func noteProgress(now: NIODeadline) {
        let bytes = socket.queuedBytes
        if bytes < queuedBytes { state.progressed(now: now) }
        queuedBytes = bytes
    }

    // MARK: The end

    /// Nothing more is written: what it still waited for is forgotten.
    package func end() {
        state.end()
        shard.endReplay(of: self)
        owedGap = []
    }

    // MARK: Channel

    /// What a client sends behind its request is of no interest.
    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {}

    /// The client has shut its sending side, or is gone: only what is written to it tells.
    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { shard.inputEnded(self) }
        context.fireUserInboundEventTriggered(event)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        if socket.isHTTP2, !isHeadSent { AbandonedRequest.report(on: context.channel) }
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
