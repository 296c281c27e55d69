// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOCore
import NIOHTTP1
import NIOHTTP2
import NIOSSL
import SluiceCore

/// One open `text/event-stream` response: its machine, its subscription and its way out.
///
/// The last handler of its channel; lives on the channel's loop, which is its shard's.
package final class Stream: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer

    /// Whoever performs what its machine says.
    package final class Host {
        let partitioning: Partitioning
        let inputEnded: (Stream) -> Void
        let closed: (Stream) -> Void

        init(
            partitioning: Partitioning, inputEnded: @escaping (Stream) -> Void, closed: @escaping (Stream) -> Void
        ) {
            self.partitioning = partitioning
            self.inputEnded = inputEnded
            self.closed = closed
        }
    }

    /// When a stream ends by itself, and why it does then.
    package struct Expiry {
        let time: NIODeadline
        package let end: StreamEnd

        package init(time: NIODeadline, end: StreamEnd) {
            self.time = time
            self.end = end
        }
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
    let expiryEnd: StreamEnd
    /// Why it has ended, once it has.
    private(set) var end: StreamEnd?
    /// Its client takes less than there is for it: it is not live again yet.
    var isBehind = false

    private let host: Host
    private var memberships = Memberships<Stream>()

    package init(
        host: Host, socket: StreamSocket, wire: StreamWire, request: Subscription,
        extraHeaders: [(String, String)], address: NetworkAddress?, now: NIODeadline, expiry: Expiry?
    ) {
        self.host = host
        self.socket = socket
        self.wire = wire
        self.machine = StreamMachine(
            now: now, expiry: expiry?.time, resume: request.resume.over(host.partitioning.count),
            hasCheckpoints: request.hasCheckpoints, partitions: host.partitioning.partitions(of: request.targets))
        self.conflates = request.conflates
        self.owner = request.owner
        self.expiryEnd = expiry?.end ?? .lifetime
        self.extraHeaders = extraHeaders
        self.address = address
    }

    // MARK: Subscription

    package func join(_ subscribers: Subscribers<Stream>) {
        memberships.append(.init(subscribers: subscribers, place: subscribers.add(self)))
    }

    package func moved(in subscribers: Subscribers<Stream>, to place: Int32) {
        for index in memberships.indices where memberships[index].subscribers === subscribers {
            memberships[index].place = place
        }
    }

    /// Leaves every target; what it listened to is returned.
    package func leaveAll() -> [Subscribers<Stream>] {
        let left = memberships
        memberships = Memberships<Stream>()
        for membership in left {
            let moved = membership.subscribers.remove(at: membership.place)
            moved?.moved(in: membership.subscribers, to: membership.place)
        }
        return left.map(\.subscribers)
    }

    package var targets: StreamTargets {
        var targets = StreamTargets()
        for membership in memberships {
            let subscribers = membership.subscribers
            targets.add(subscribers.target, subscribers.feed, in: subscribers.partition)
        }
        return targets
    }

    /// The client whose events it gets; nil: only topics'.
    package var client: Target? {
        memberships.first { $0.subscribers.target.kind == .client }?.subscribers.target
    }

    package var subscriptions: [Subscribers<Stream>] { memberships.map(\.subscribers) }

    package var numbers: some Sequence<TargetNumber> { memberships.lazy.compactMap(\.subscribers.number) }

    /// The first of its ends is what counts.
    func note(_ end: StreamEnd) {
        if self.end == nil { self.end = end }
    }

    package var spokenOver: StreamProtocol {
        if socket.isHTTP2 { .http2 } else if wire == .chunked { .http11 } else { .http10 }
    }

    // MARK: Channel

    /// What a client sends behind its request is of no interest.
    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {}

    /// The client has shut its sending side, or is gone: only what is written to it tells.
    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { host.inputEnded(self) }
        context.fireUserInboundEventTriggered(event)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        if socket.isHTTP2, !machine.isHeadSent { AbandonedRequest.report(on: context.channel) }
        host.closed(self)
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Garbage behind the request, which NIO hands over while its handlers leave: before the shard knows the stream.
        if error is HTTPParserError { return }
        if !Stream.isDeparture(error) { note(.error) }
        context.close(promise: nil)
    }

    /// Whether an error is how a client goes that does not say goodbye.
    private static func isDeparture(_ error: any Error) -> Bool {
        switch error {
        case let error as IOError: [ECONNRESET, EPIPE].contains(error.errnoCode)
        case let error as NIOHTTP2Errors.StreamClosed: [.cancel, .noError].contains(error.errorCode)
        case NIOSSLError.uncleanShutdown: true
        default: false
        }
    }
}

@available(*, unavailable)
extension Stream: Sendable {}

extension Subscribers<Stream> {
    /// The topic is over now, or has been opened again; nil: that has not changed.
    func note(isOver: Bool?) {
        guard let isOver else { return }
        for stream in streams { stream.machine.topic(isOver: isOver) }
    }
}
