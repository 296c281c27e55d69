// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore

/// The feed: this node's one subscriber connection, made anew whenever it is lost, with every wanted channel
/// subscribed again.
///
/// Messages come in the order in which Redis published them, over all channels. Confined to its event loop.
package final class RedisFeed {
    package struct Callbacks {
        /// A message on a channel; the bytes are valid during the call only.
        package var onMessage: (_ channel: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer) -> Void
        /// Everything that one read of the socket brought was handed over.
        package var onReadComplete: () -> Void
        /// Redis has confirmed a channel: what is published from now on will arrive.
        package var onConfirmed: (String) -> Void
        /// Redis sends no more of a channel that nobody wants.
        package var onGone: (String) -> Void
        /// The connection is up and every wanted channel is confirmed.
        package var onUp: () -> Void
        package var onDown: () -> Void
        /// Which of these channels, which were refused, Redis permits by now.
        package var permitted: ([String]) -> EventLoopFuture<[String]>

        package init(
            onMessage: @escaping (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void,
            onReadComplete: @escaping () -> Void, onConfirmed: @escaping (String) -> Void,
            onGone: @escaping (String) -> Void, onUp: @escaping () -> Void, onDown: @escaping () -> Void,
            permitted: @escaping ([String]) -> EventLoopFuture<[String]>
        ) {
            self.onMessage = onMessage
            self.onReadComplete = onReadComplete
            self.onConfirmed = onConfirmed
            self.onGone = onGone
            self.onUp = onUp
            self.onDown = onDown
            self.permitted = permitted
        }
    }

    private static let checkInterval = TimeAmount.seconds(1)
    /// Refused channels that are looked at in one interval: what Redis is asked must not grow with their number.
    private static let checkedMax = 2048
    private static let complaintInterval = TimeAmount.minutes(1)

    private let endpoint: RedisEndpoint
    private let eventLoop: any EventLoop
    private let logger: Logger
    private let silenceMax: TimeAmount
    private let callbacks: Callbacks
    private var subscriptions: Subscriptions
    private var connection: RedisConnection?
    private var backoff = Backoff()
    private var isUp = false
    private var isStopped = false
    private var hasComplained = false
    private var isSendScheduled = false
    private var timer: RepeatedTask?
    private var checksUnanswered = 0
    private var lastComplaint: NIODeadline?

    /// - Parameter silenceMax: how long Redis may say nothing while it is to confirm channels.
    package init(
        endpoint: RedisEndpoint, eventLoop: any EventLoop, logger: Logger, linger: TimeAmount,
        silenceMax: TimeAmount = .seconds(5), callbacks: Callbacks
    ) {
        self.endpoint = endpoint
        self.eventLoop = eventLoop
        self.logger = logger
        self.silenceMax = silenceMax
        self.callbacks = callbacks
        self.subscriptions = Subscriptions(linger: linger)
    }

    package func start() {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        timer = eventLoop.scheduleRepeatedTask(initialDelay: RedisFeed.checkInterval, delay: RedisFeed.checkInterval) {
            _ in
            bound.value.sendCommands()
            bound.value.checkSilence()
            bound.value.checkRefused()
        }
        connect()
    }

    package func stop() {
        isStopped = true
        timer?.cancel()
        connection?.close()
    }

    /// Ends the connection; a new one is made. For a feed that is connected and yet brings nothing.
    package func reconnect() {
        connection?.close()
    }

    /// - Returns: whether Redis has confirmed the channel already; otherwise `onConfirmed` will say so.
    package func want(_ channel: String) -> Bool {
        let isConfirmed = subscriptions.want(channel)
        if !isConfirmed { scheduleSend() }
        return isConfirmed
    }

    package func release(_ channel: String) {
        subscriptions.release(channel, now: eventLoop.now)
        reportGone()
    }

    private func reportGone() {
        for name in subscriptions.takeGone() { callbacks.onGone(name) }
    }

    private func connect() {
        guard !isStopped else { return }
        RedisConnection.connect(to: endpoint, on: eventLoop).assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let connection): connected(connection)
            case .failure(let error): retry(after: "\(error)")
            }
        }
    }

    private func connected(_ connection: RedisConnection) {
        guard !isStopped else { return connection.close() }
        if hasComplained { logger.notice("the feed is connected again", metadata: ["redis": "\(endpoint.url)"]) }
        hasComplained = false
        self.connection = connection
        connection.onPush = { [self] in received($0) }
        connection.onReadComplete = callbacks.onReadComplete
        connection.onClose = { [self] reason in
            self.connection = nil
            subscriptions.disconnected()
            if isUp {
                isUp = false
                callbacks.onDown()
            }
            retry(after: reason)
        }
        subscriptions.connected()
        sendCommands()
        checkSettled()
    }

    private func retry(after reason: String) {
        guard !isStopped else { return }
        if !hasComplained {
            logger.warning("the feed is down", metadata: ["redis": "\(endpoint.url)", "reason": "\(reason)"])
            hasComplained = true
        }
        var generator = SystemRandomNumberGenerator()
        eventLoop.assumeIsolated().scheduleTask(in: backoff.next(using: &generator)) { [self] in connect() }
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
                callbacks.onMessage(channel, payload)
                return true
            }
            let name = String(decoding: channel, as: UTF8.self)
            if kind.elementsEqual("subscribe".utf8) {
                if subscriptions.subscribed(name, now: eventLoop.now) { callbacks.onConfirmed(name) }
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
            callbacks.permitted(some).assumeIsolated().whenComplete { [self] result in
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
        guard !isUp, let connection, eventLoop.now - connection.lastRead > silenceMax else { return }
        connection.close()
    }

    private func checkSettled() {
        guard !isUp, subscriptions.isSettled else { return }
        isUp = true
        backoff.reset()
        callbacks.onUp()
    }
}

@available(*, unavailable)
extension RedisFeed: Sendable {}
