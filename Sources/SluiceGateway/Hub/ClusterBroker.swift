// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import SluiceCore
import SluiceRedis

/// A Redis Cluster as the broker: each partition's feed and commands at the master that has it now.
package final class ClusterBroker: RedisBacked {
    /// How long a channel that nobody listens to any more stays subscribed: browsers come back after a blink.
    private static let linger = TimeAmount.seconds(5)
    private static let timeout = TimeAmount.seconds(5)
    /// How long an event waits for a partition that is between two masters.
    private static let patience = TimeAmount.seconds(2)

    private let seeds: [RedisAddress]
    private let endpoint: RedisEndpoint
    package let names: RedisNames
    package let nodeID: String
    package let presenceEvents: Int
    package let eventLoop: any EventLoop
    private let logger: Logger
    /// The node's own channel of each partition.
    private let nodeChannels: [String]
    private var tell: (BrokerNotice) -> Void = { _ in }
    private var feed: ClusterFeed?
    private var commands: ClusterCommands?
    private var channels = ChannelNumbers()
    private var complaints = Complaints(interval: .minutes(1))
    private lazy var replicaCounts = partitioning.partitions.map { partition in
        ReplicaCount(on: eventLoop) { [unowned self] in send($0, to: partition) }
    }

    package let name = "redis"
    package let partitioning = Partitioning.cluster

    /// - Parameter endpoint: a login, which is the same at all servers.
    package init(
        seeds: [RedisAddress], endpoint: RedisEndpoint, prefix: String, nodeID: String, presenceEvents: Int,
        eventLoop: any EventLoop, logger: Logger
    ) {
        self.seeds = seeds
        self.endpoint = endpoint
        let names = RedisNames(prefix: prefix, partitioning: .cluster)
        self.names = names
        self.nodeID = nodeID
        self.presenceEvents = presenceEvents
        self.eventLoop = eventLoop
        self.logger = logger
        nodeChannels = Partitioning.cluster.partitions.map { names.node(nodeID, $0) }
    }

    package func start(tell: @escaping (BrokerNotice) -> Void) {
        self.tell = tell
        let commands = ClusterCommands(
            seeds: seeds, endpoint: endpoint, on: eventLoop, logger: logger,
            prepare: { [unowned self] in install(on: $0) },
            onMap: { [unowned self] in self.feed?.use($0) }, onUp: { [unowned self] in self.feed?.canAsk($0) },
            isFeedWhole: { [unowned self] in self.feed?.isWhole ?? false })
        let feed = ClusterFeed(
            from: endpoint, anchors: nodeChannels, on: eventLoop, logger: logger, linger: ClusterBroker.linger,
            isMaster: { [unowned commands] in commands.isMaster($0) },
            permitted: { [unowned self] in permitted($0, $1) }, tell: { [unowned self] in take($0) })
        self.commands = commands
        self.feed = feed
        _ = feed.want(names.control, of: .first)
        feed.start()
        commands.start()
    }

    package func stop() {
        feed?.stop()
        commands?.stop()
        // What is still answered is nobody's any more.
        tell = { _ in }
    }

    // MARK: Feed

    private func take(_ notice: ClusterFeed.Notice) {
        switch notice {
        case .message(let channel, let payload): received(payload, on: channel)
        case .readComplete: tell(.readComplete)
        case .confirmed(let channel):
            guard let target = channels.target(channel) else { return }
            tell(.confirmed(target))
        case .gone(let channel):
            guard let target = channels.remove(channel) else { return }
            tell(.gone(target))
        case .up(let partition): tell(.up(partition))
        case .down(let partition): tell(.down(partition))
        case .look(let trusted, let doubted): commands?.look(trusting: trusted, doubting: doubted)
        }
    }

    private func received(_ payload: UnsafeRawBufferPointer, on channel: UnsafeRawBufferPointer) {
        if let number = channels.number(channel) { return tell(.message(payload, for: number)) }
        if let partition = nodeChannels.firstIndex(where: { $0.utf8.elementsEqual(channel) }).map(Partition.init) {
            switch NodeMessage(payload) {
            case .tick(let reading): tell(.clock(reading, of: partition))
            case .alive: tell(.alive(partition))
            case .answer(let payload): tell(.answer(payload))
            case nil: break
            }
        } else if names.control.utf8.elementsEqual(channel) {
            tell(.control(payload))
        }
    }

    private func channel(_ target: Target) -> (name: String, partition: Partition) {
        (names.channel(target), partitioning.partition(of: target))
    }

    package func want(_ target: Target, as number: TargetNumber) -> Bool {
        let (name, partition) = channel(target)
        channels.add(name, target, number)
        return feed?.want(name, of: partition) ?? false
    }

    package func release(_ target: Target) {
        let (name, partition) = channel(target)
        feed?.release(name, of: partition)
    }

    package func pause(_ target: Target, for time: TimeAmount) {
        let (name, partition) = channel(target)
        feed?.pause(name, of: partition, for: time)
    }

    package func reconnect(_ partition: Partition) {
        feed?.reconnect(partition)
    }

    private func permitted(_ channels: [String], _ partition: Partition) -> EventLoopFuture<[String]> {
        send(SluiceFunction.maySubscribe(channels), to: partition).map { reply in
            (reply.array ?? []).compactMap(\.string)
        }
    }

    // MARK: Commands

    /// A master that does not take the function, as one that is full, still carries plain events, and answers what needs no
    /// function.
    private func install(on connection: RedisConnection) -> EventLoopFuture<Void> {
        for count in replicaCounts { count.restart() }
        return SluiceFunction.install(on: connection, timeout: ClusterBroker.timeout).assumeIsolated()
            .flatMapErrorThrowing {
                [self] error in
                guard case RedisError.refused(let reason) = error else { throw error }
                tell(.refused(RedisRefusal(reason)))
                guard complaints.isDue("function", now: eventLoop.now) else { return }
                logger.error(
                    "Redis does not take the function that publishing and coming back need",
                    metadata: ["reason": "\(reason)"])
            }.nonisolated()
    }

    package func send(_ command: RESPCommand, to partition: Partition) -> EventLoopFuture<RESPValue> {
        send(command, to: partition, patience: .zero)
    }

    private func send(
        _ command: RESPCommand, to partition: Partition, patience: TimeAmount
    ) -> EventLoopFuture<RESPValue> {
        guard let commands else { return eventLoop.makeFailedFuture(RedisError.unavailable) }
        let reply = commands.send(command, to: partition, patience: patience)
        reply.assumeIsolated().whenFailure { [weak self] in self?.note($0) }
        return reply
    }

    /// Counts what Redis refuses, and says why; a client whose publish fails is not told in Redis' own words, which name users
    /// and keys.
    private func note(_ error: any Error) {
        guard case RedisError.refused(let reason) = error else { return }
        let refusal = RedisRefusal(reason)
        tell(.refused(refusal))
        // What our function refuses is the client's fault, and the client is told.
        guard refusal != .function, !ClusterBroker.isBetweenMasters(refusal),
            complaints.isDue("\(refusal)", now: eventLoop.now)
        else { return }
        logger.error(
            refusal == .noperm
                ? "Redis refuses what a node has to do; see deploy/users.acl" : "Redis refuses a command",
            metadata: ["reason": "\(reason)"])
    }

    /// Routine: the partition moves, or one of its servers takes over.
    private static func isBetweenMasters(_ refusal: RedisRefusal) -> Bool {
        [.moved, .ask, .tryagain, .clusterdown, .loading, .readonly, .masterdown].contains(refusal)
    }

    package func tick(_ partition: Partition, known: EventID, entry: NodeEntry?) {
        let asked = eventLoop.now
        let tick = SluiceFunction.tick(known: known, node: nodeID, partition, entry: entry, names: names)
        send(tick, to: partition).assumeIsolated().whenComplete { [weak self] result in
            switch result {
            case .success(let reply):
                guard let time = SluiceFunction.serverTime(tick: reply) else { return }
                self?.tell(.serverTime(time, asked: asked, of: partition))
            case .failure(let error):
                if let error = error as? RedisError { self?.tickFailed(partition, error) }
            }
        }
    }

    private func tickFailed(_ partition: Partition, _ error: RedisError) {
        guard case .refused(let reason) = error else { return }
        if !ClusterBroker.isBetweenMasters(RedisRefusal(reason)), complaints.isDue("tick", now: eventLoop.now) {
            logger.error(
                "Redis refuses the node's tick, and perhaps events with a log; plain ones still arrive",
                metadata: [
                    "reason": "\(reason)", "keys": "\(names.clock(partition)) \(nodeChannels[partition.index])",
                ])
        }
        signOfLife(partition)
    }

    /// In place of a tick: a feed that is deaf has to be noticed all the same, and one that works must not be taken for deaf.
    private func signOfLife(_ partition: Partition) {
        let command = NodeMessage.signOfLife(node: nodeChannels[partition.index], of: partitioning)
        send(command, to: partition).assumeIsolated().whenComplete { [weak self] result in
            if case .failure(RedisError.refused) = result { self?.tell(.alive(partition)) }
        }
    }

    package func replicas(_ partition: Partition, wanted: Int) -> EventLoopFuture<Int> {
        replicaCounts[partition.index].reach(wanted)
    }

    // MARK: Publishing

    package func refusal(of bytes: Int) -> PublishFailure? {
        guard let commands else { return .unavailable("\(RedisError.unavailable)") }
        return commands.refusal(of: bytes).map { .unavailable("\($0)") }
    }

    package func publish(_ command: RESPCommand, to partition: Partition) -> EventLoopFuture<Receipt> {
        send(command, to: partition, patience: ClusterBroker.patience).receipt()
    }
}
