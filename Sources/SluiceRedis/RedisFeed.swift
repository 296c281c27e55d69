// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore

/// The feed: this node's one subscriber connection, made anew whenever it is lost, with every wanted channel
/// subscribed again.
///
/// Messages come in the order in which Redis published them, over all channels. Confined to its event loop.
package final class RedisFeed {
    /// What a feed has to tell.
    package enum Notice {
        /// A message on a channel; the bytes are valid during the call only.
        case message(channel: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer)
        /// Everything that one read of the socket brought was handed over.
        case readComplete
        /// Redis has confirmed a channel: what is published from now on will arrive.
        case confirmed(String)
        /// Redis sends no more of a channel that nobody wants.
        case gone(String)
        /// The connection is up and every wanted channel is confirmed.
        case up
        case down
    }

    private static let checkInterval = TimeAmount.seconds(1)
    /// Refused channels that are looked at in one interval: what Redis is asked must not grow with their number.
    private static let checkedMax = 2048
    private static let complaintInterval = TimeAmount.minutes(1)

    private let eventLoop: any EventLoop
    private let logger: Logger
    private let silenceMax: TimeAmount
    private let permitted: ([String]) -> EventLoopFuture<[String]>
    private let tell: (Notice) -> Void
    private let link: RedisLink
    private var connection: RedisConnection?
    private var subscriptions: Subscriptions
    /// Until every wanted channel is confirmed on this connection.
    private var settling: EventLoopPromise<Void>?
    private var isSendScheduled = false
    private var timer: RepeatedTask?
    private var checksUnanswered = 0
    private var lastComplaint: NIODeadline?

    /// - Parameters:
    ///   - commands: the link to the server that the feed has to come from.
    ///   - silenceMax: how long Redis may say nothing while it is to confirm channels.
    ///   - permitted: which of these channels, which were refused, Redis permits by now.
    package init(
        from locator: RedisLocator, beside commands: RedisLink? = nil, on eventLoop: any EventLoop, logger: Logger,
        linger: TimeAmount,
        silenceMax: TimeAmount = .seconds(5), permitted: @escaping ([String]) -> EventLoopFuture<[String]>,
        tell: @escaping (Notice) -> Void
    ) {
        self.eventLoop = eventLoop
        self.logger = logger
        self.silenceMax = silenceMax
        self.permitted = permitted
        self.tell = tell
        self.subscriptions = Subscriptions(linger: linger)
        self.link = RedisLink(
            to: locator, on: eventLoop, logger: logger, lossNote: "the feed is down",
            returnNote: "the feed is connected again")
        if let commands { link.pair(with: commands) }
    }

    package func start() {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        timer = eventLoop.scheduleRepeatedTask(initialDelay: RedisFeed.checkInterval, delay: RedisFeed.checkInterval) {
            _ in
            bound.value.sendCommands()
            bound.value.checkSilence()
            bound.value.checkRefused()
        }
        link.start(prepare: { [self] in subscribe(over: $0) }, onLost: { [self] in lost() })
    }

    package func stop() {
        timer?.cancel()
        link.stop()
    }

    /// Ends the connection; a new one is made. For a feed that is connected and yet brings nothing.
    package func reconnect() {
        connection?.close()
    }

    /// The server is there now: a feed from elsewhere is given up.
    package func follow(_ address: RedisAddress) {
        link.follow(address)
    }

    /// - Returns: whether Redis has confirmed the channel already; otherwise a notice will say so.
    package func want(_ channel: String) -> Bool {
        let isConfirmed = subscriptions.want(channel)
        if !isConfirmed { scheduleSend() }
        return isConfirmed
    }

    package func release(_ channel: String) {
        subscriptions.release(channel, now: eventLoop.now)
        reportGone()
    }

    /// Redis is to send nothing of a channel for so long. It is confirmed again once it does.
    package func pause(_ channel: String, for time: TimeAmount) {
        subscriptions.pause(channel, until: eventLoop.now + time)
        scheduleSend()
    }

    private func reportGone() {
        for name in subscriptions.takeGone() { tell(.gone(name)) }
    }

    /// Succeeds once every wanted channel is confirmed.
    private func subscribe(over connection: RedisConnection) -> EventLoopFuture<Void> {
        let settling = eventLoop.makePromise(of: Void.self)
        self.settling = settling
        self.connection = connection
        connection.onPush = { [self] in received($0) }
        connection.onReadComplete = { [self] in tell(.readComplete) }
        subscriptions.connected()
        sendCommands()
        checkSettled()
        return settling.futureResult
    }

    private func lost() {
        connection = nil
        subscriptions.disconnected()
        // Also where it was not up yet: some channels may have been confirmed, and streams have begun with them.
        tell(.down)
        settling?.fail(RedisError.unavailable)
        settling = nil
    }

    /// Channels that are wanted in one turn of the loop share a command.
    private func scheduleSend() {
        guard !isSendScheduled else { return }
        isSendScheduled = true
        eventLoop.assumeIsolated().execute { [self] in
            isSendScheduled = false
            sendCommands()
        }
    }

    private func sendCommands() {
        defer { reportGone() }
        guard let connection else { return }
        while let command = subscriptions.next(now: eventLoop.now) {
            switch command {
            case .subscribe(let names): connection.push(RESPCommand(["SUBSCRIBE"] + names))
            case .unsubscribe(let names): connection.push(RESPCommand(["UNSUBSCRIBE"] + names))
            }
        }
    }

    private func received(_ reply: borrowing RESPReply) {
        let isKnown: Bool? = reply.withPush { kind, channel, payload in
            if kind.elementsEqual("message".utf8) {
                tell(.message(channel: channel, payload: payload))
                return true
            }
            let name = String(decoding: channel, as: UTF8.self)
            if kind.elementsEqual("subscribe".utf8) {
                if subscriptions.subscribed(name, now: eventLoop.now) { tell(.confirmed(name)) }
            } else if kind.elementsEqual("unsubscribe".utf8) {
                subscriptions.unsubscribed(name)
            } else {
                return false
            }
            sendCommands()
            checkSettled()
            return true
        }
        if isKnown != true { refused(reply.value) }
    }

    /// An error in subscriber mode, as for a channel that this user may not have.
    private func refused(_ reply: RESPValue) {
        if let name = subscriptions.refused() { complain(name, reply) }
        sendCommands()
        checkSettled()
    }

    /// Once a minute: there may be very many, and clients choose their names.
    private func complain(_ name: String, _ reply: RESPValue) {
        if let lastComplaint, eventLoop.now - lastComplaint < RedisFeed.complaintInterval { return }
        lastComplaint = eventLoop.now
        logger.error(
            "Redis refuses channels; nothing of them arrives until it permits them",
            metadata: ["channel": "\(name)", "reply": "\(reply)", "refused": "\(subscriptions.refusedCount)"])
    }

    /// Rights may have been granted since: some of the refused channels are looked at, in turn.
    private func checkRefused() {
        guard connection != nil, checksUnanswered == 0 else { return }
        var names = subscriptions.nextToCheck(max: RedisFeed.checkedMax)[...]
        while !names.isEmpty {
            let some = Array(names.prefix(Subscriptions.namesPerCommandMax))
            names = names.dropFirst(some.count)
            checksUnanswered += 1
            permitted(some).assumeIsolated().whenComplete { [self] result in
                checksUnanswered -= 1
                guard case .success(let permitted) = result else { return }
                subscriptions.permitted(permitted)
                sendCommands()
            }
        }
    }

    /// Once the feed is up, ticks show that it is alive. Before that a Redis that fell silent, or a proxy in front of
    /// it, would leave the node deaf for as long as TCP waits.
    private func checkSilence() {
        guard settling != nil, let connection, eventLoop.now - connection.lastRead > silenceMax else { return }
        connection.close()
    }

    private func checkSettled() {
        guard let settling, subscriptions.isSettled else { return }
        self.settling = nil
        settling.succeed()
        tell(.up)
    }
}

@available(*, unavailable)
extension RedisFeed: Sendable {}
