// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import SluiceCore
import SluiceRedis

/// Redis as the broker: a feed for what arrives, a command connection for the rest.
package final class RedisBroker: RedisBacked {
    /// How long a channel that nobody listens to any more stays subscribed: browsers come back after a blink.
    private static let linger = TimeAmount.seconds(5)
    private static let timeout = TimeAmount.seconds(5)
    /// A Redis that does not take the function is not sent it with each command that needs it.
    private static let installInterval = TimeAmount.seconds(1)

    private let locator: RedisLocator
    package let names: RedisNames
    package let nodeID: String
    package let presenceEvents: Int
    package let eventLoop: any EventLoop
    private let logger: Logger
    private var tell: (BrokerNotice) -> Void = { _ in }
    private var feed: RedisFeed?
    private let commands: RedisLink
    private var channels = ChannelNumbers()
    private var complaints = Complaints(interval: .minutes(1))
    private var lastInstall: NIODeadline?
    private var isLeaving = false
    private lazy var replicaCount = ReplicaCount(on: eventLoop) { [unowned self] in send($0) }

    package let name = "redis"
    package let partitioning = Partitioning.single

    package init(
        _ locator: RedisLocator, names: RedisNames, nodeID: String, presenceEvents: Int, eventLoop: any EventLoop,
        logger: Logger
    ) {
        self.locator = locator
        commands = RedisLink(to: locator, on: eventLoop, logger: logger)
        self.names = names
        self.nodeID = nodeID
        self.presenceEvents = presenceEvents
        self.eventLoop = eventLoop
        self.logger = logger
    }

    package func start(tell: @escaping (BrokerNotice) -> Void) {
        self.tell = tell
        let feed = RedisFeed(
            from: locator, beside: commands, on: eventLoop, logger: logger, linger: RedisBroker.linger,
            permitted: { [unowned self] in permitted($0) }, tell: { [unowned self] in take($0) })
        self.feed = feed
        _ = feed.want(names.node(nodeID, .first))
        _ = feed.want(names.control)
        commands.start { [unowned self] in install(on: $0) }
        feed.start()
        locator.listen { [weak self] in self?.follow() }
    }

    /// Asks where the master is, and leaves a server that is none any more although it may not know.
    private func follow() {
        locator.master()?.assumeIsolated().whenSuccess { [weak self] address in
            self?.feed?.follow(address)
            self?.commands.follow(address)
        }
    }

    private func take(_ notice: RedisFeed.Notice) {
        switch notice {
        case .message(let channel, let payload): received(payload, on: channel)
        case .readComplete: tell(.readComplete)
        case .confirmed(let channel):
            guard let target = channels.target(channel) else { return }
            tell(.confirmed(target))
        case .gone(let channel):
            guard let target = channels.remove(channel) else { return }
            tell(.gone(target))
        case .up: tell(.up())
        case .down: tell(.down())
        }
    }

    /// A Redis that does not take the function, as one that is full, still carries plain events, and answers what needs no
    /// function. Each command that needs it tries again.
    private func install(on connection: RedisConnection) -> EventLoopFuture<Void> {
        replicaCount.restart()
        lastInstall = eventLoop.now
        if connection.greeting == nil, complaints.isDue("greeting", now: eventLoop.now) {
            logger.warning(
                "Redis does not answer HELLO: that it has become a replica is seen only when it refuses a write")
        }
        return SluiceFunction.install(on: connection, timeout: RedisBroker.timeout).assumeIsolated()
            .flatMapErrorThrowing {
                [self] error in
                guard case RedisError.refused(let reason) = error, (error as? RedisError)?.endsUse != true else {
                    throw error
                }
                tell(.refused(RedisRefusal(reason)))
                guard complaints.isDue("function", now: eventLoop.now) else { return }
                logger.error(
                    "Redis does not take the function that publishing and coming back need",
                    metadata: ["reason": "\(reason)"])
            }.nonisolated()
    }

    package func stop() {
        feed?.stop()
        commands.stop()
        locator.close()
        // What is still answered is nobody's any more.
        tell = { _ in }
    }

    package func want(_ target: Target, as number: TargetNumber) -> Bool {
        let channel = names.channel(target)
        channels.add(channel, target, number)
        return feed?.want(channel) ?? false
    }

    package func release(_ target: Target) {
        feed?.release(names.channel(target))
    }

    package func pause(_ target: Target, for time: TimeAmount) {
        feed?.pause(names.channel(target), for: time)
    }

    private func received(_ payload: UnsafeRawBufferPointer, on channel: UnsafeRawBufferPointer) {
        if let number = channels.number(channel) { return tell(.message(payload, for: number)) }
        let name = String(decoding: channel, as: UTF8.self)
        if name == names.node(nodeID, .first) {
            switch NodeMessage(payload) {
            case .tick(let reading): tell(.clock(reading))
            case .alive: tell(.alive())
            case .answer(let payload): tell(.answer(payload))
            case nil: break
            }
        } else if name == names.control {
            tell(.control(payload))
        }
    }

    package func reconnect(_ partition: Partition) {
        feed?.reconnect()
    }

    package func send(_ command: RESPCommand, to partition: Partition = .first) -> EventLoopFuture<RESPValue> {
        let reply = commands.send(command)
        reply.assumeIsolated().whenFailure { [weak self] in self?.note($0) }
        return reply
    }

    /// Counts what Redis refuses, and says why: a node that lacks a right is connected and ready, and yet its streams never
    /// begin; and a client whose publish fails is not told in Redis' own words, which name users and keys.
    private func note(_ error: any Error) {
        guard let error = error as? RedisError, case .refused(let reason) = error else { return }
        let refusal = RedisRefusal(reason)
        tell(.refused(refusal))
        if error.endsUse { return leave(reason) }
        if error.lacksFunction { reinstall() }
        // What our function refuses is the client's fault, and the client is told.
        guard refusal != .function, complaints.isDue("\(refusal)", now: eventLoop.now) else { return }
        logger.error(
            refusal == .noperm
                ? "Redis refuses what a node has to do; see deploy/users.acl" : "Redis refuses a command",
            metadata: ["reason": "\(reason)"])
    }

    /// Looks for a Redis that can do what a node needs. The feed stays until then: a replica brings what its master brings.
    private func leave(_ reason: String) {
        guard !isLeaving else { return }
        isLeaving = true
        if complaints.isDue("use", now: eventLoop.now) {
            logger.warning("Redis can't do what a node needs; looking for another", metadata: ["reason": "\(reason)"])
        }
        signOfLife { [weak self] in
            self?.isLeaving = false
            self?.commands.lookAgain()
        }
    }

    /// The function is gone, as after `FUNCTION FLUSH`.
    private func reinstall() {
        if let lastInstall, eventLoop.now - lastInstall < RedisBroker.installInterval { return }
        guard let connection = commands.current else { return }
        _ = install(on: connection)
    }

    private func permitted(_ channels: [String]) -> EventLoopFuture<[String]> {
        send(SluiceFunction.maySubscribe(channels)).map { reply in
            (reply.array ?? []).compactMap(\.string)
        }
    }

    package func tick(_ partition: Partition, known: EventID, entry: NodeEntry?) {
        let asked = eventLoop.now
        follow()
        let tick = send(SluiceFunction.tick(known: known, node: nodeID, .first, entry: entry, names: names))
        tick.assumeIsolated().whenComplete { [weak self] result in
            switch result {
            case .success(let reply):
                guard let time = SluiceFunction.serverTime(tick: reply) else { return }
                self?.tell(.serverTime(time, asked: asked))
            case .failure(let error):
                if let error = error as? RedisError { self?.tickFailed(error) }
            }
        }
    }

    private func tickFailed(_ error: RedisError) {
        guard case .refused(let reason) = error, !error.endsUse else { return }
        if complaints.isDue("tick", now: eventLoop.now) {
            logger.error(
                "Redis refuses the node's tick, and perhaps events with a log; plain ones still arrive",
                metadata: ["reason": "\(reason)", "keys": "\(names.clock(.first)) \(names.node(nodeID, .first))"])
        }
        signOfLife {}
    }

    /// In place of a tick: a feed that is deaf has to be noticed all the same, and one that works must not be taken for deaf.
    private func signOfLife(then done: @escaping () -> Void) {
        send(NodeMessage.signOfLife(node: names.node(nodeID, .first))).assumeIsolated().whenComplete {
            [weak self] result in
            if case .failure(RedisError.refused) = result { self?.tell(.alive()) }
            done()
        }
    }

    package func replicas(_ partition: Partition, wanted: Int) -> EventLoopFuture<Int> {
        replicaCount.reach(wanted)
    }

    // MARK: Publishing

    package func refusal(of bytes: Int) -> PublishFailure? {
        commands.refusal(of: bytes).map { .unavailable("\($0)") }
    }

    package func publish(_ command: RESPCommand, to partition: Partition) -> EventLoopFuture<Receipt> {
        send(command, to: partition).receipt()
    }
}
