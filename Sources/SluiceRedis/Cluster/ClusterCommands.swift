// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import SluiceCore

/// Commands to a cluster: each goes to the master that has its partition, and is followed to where that has gone.
///
/// One connection to each master, however many partitions it has. Confined to its event loop.
package final class ClusterCommands {
    /// What may wait for replies, in bytes of commands, over all masters.
    private static let bytesWaitingMax = 64 * 1024 * 1024
    private static let timeout = TimeAmount.seconds(5)
    /// How long a server that has no partition, or none yet, stays connected after it was last sent a command.
    private static let guestTime = TimeAmount.seconds(10)
    private static let leaveTime = TimeAmount.seconds(1)
    /// A master that does not take the function is not sent it with each command that needs it.
    private static let prepareInterval = TimeAmount.seconds(1)

    private struct Server {
        let link: RedisLink
        /// nil: it has no partition, as far as is known.
        var master: ClusterMap.Master?
        var lastUse: NIODeadline
        var lastPrepared: NIODeadline
    }

    private let endpoint: RedisEndpoint
    private let eventLoop: any EventLoop
    private let logger: Logger
    private let prepare: (RedisConnection) -> EventLoopFuture<Void>
    private let onMap: (ClusterMap) -> Void
    private let onUp: (RedisAddress) -> Void
    private let isFeedWhole: () -> Bool
    private var servers: [RedisAddress: Server] = [:]
    private var leaving: [RedisLink] = []
    private var map: ClusterMap?
    private var waiting: ClusterQueue
    private var topology: ClusterTopology?

    /// - Parameters:
    ///   - endpoint: a login, which is the same at all servers.
    ///   - prepare: makes a new connection to a master ready, as by installing the function.
    ///   - onMap: takes what each look at the topology has shown.
    ///   - onUp: a connection to this master is ready.
    ///   - isFeedWhole: whether whoever uses the topology beside the commands has what it needs.
    package init(
        seeds: [RedisAddress], endpoint: RedisEndpoint, on eventLoop: any EventLoop, logger: Logger,
        prepare: @escaping (RedisConnection) -> EventLoopFuture<Void>,
        onMap: @escaping (ClusterMap) -> Void = { _ in }, onUp: @escaping (RedisAddress) -> Void = { _ in },
        isFeedWhole: @escaping () -> Bool = { true }
    ) {
        self.endpoint = endpoint
        self.eventLoop = eventLoop
        self.logger = logger
        self.prepare = prepare
        self.onMap = onMap
        self.onUp = onUp
        self.isFeedWhole = isFeedWhole
        waiting = ClusterQueue()
        topology = ClusterTopology(
            seeds: seeds, endpoint: endpoint, on: eventLoop, logger: logger,
            link: { [unowned self] in servers[$0]?.link }, use: { [unowned self] in use($0) },
            isWhole: { [unowned self] in isWhole && self.isFeedWhole() })
    }

    package func start() {
        topology?.start()
    }

    package func stop() {
        topology?.stop()
        for link in servers.values.map(\.link) + leaving { link.stop() }
        servers = [:]
        leaving = []
        map = nil
        for command in waiting.takeAll() { command.promise.fail(RedisError.unavailable) }
    }

    /// Something is not as the map says; see ``ClusterTopology/look(trusting:doubting:)``.
    package func look(trusting trusted: RedisAddress? = nil, doubting doubted: RedisAddress? = nil) {
        topology?.look(trusting: trusted, doubting: doubted)
    }

    // MARK: Masters

    /// Every partition has a master, and all are connected.
    package var isWhole: Bool {
        map?.owners.allSatisfy { $0.map { servers[$0.address]?.link.isUp == true } ?? false } ?? false
    }

    /// Some master is connected.
    package var isUp: Bool { servers.values.contains(where: \.link.isUp) }

    /// Why no server says who is master, if that is so.
    package var outage: String? { topology?.outage }

    private func use(_ map: ClusterMap) {
        self.map = map
        let masters = Set(map.owners.compactMap(\.self))
        for (address, server) in servers {
            if let master = server.master {
                if !masters.contains(master) { drop(address) }
            } else if eventLoop.now - server.lastUse > ClusterCommands.guestTime {
                drop(address)
            }
        }
        for master in masters {
            // A guest has become a master with a partition, and is known by its name from now on.
            if servers[master.address] == nil { connect(to: master.address, as: master) }
            servers[master.address]?.master = master
        }
        onMap(map)
    }

    /// It is sent nothing more. What is under way may still be answered, as by a master that has handed its slots over.
    private func drop(_ address: RedisAddress) {
        guard let link = servers.removeValue(forKey: address)?.link else { return }
        leaving.append(link)
        eventLoop.assumeIsolated().scheduleTask(in: ClusterCommands.leaveTime) { [weak self] in
            link.stop()
            self?.leaving.removeAll { $0 === link }
        }
    }

    private func connect(to address: RedisAddress, as master: ClusterMap.Master?) {
        let link = RedisLink(to: .member(endpoint.at(address)), on: eventLoop, logger: logger)
        servers[address] = Server(link: link, master: master, lastUse: eventLoop.now, lastPrepared: eventLoop.now)
        link.start(
            prepare: { [unowned self] connection in
                let checked = connection.check(id: master?.id, timeout: ClusterCommands.timeout)
                let ready = checked.assumeIsolated().flatMap { [self] in prepare(connection) }.nonisolated()
                ready.assumeIsolated().whenSuccess { [weak self] in
                    // The link itself learns of it first.
                    self?.eventLoop.assumeIsolated().execute { self?.isReady(address) }
                }
                return ready
            },
            onLost: { [unowned self, weak link] in
                if let link, servers[address]?.link === link { look(doubting: address) }
            })
    }

    private func isReady(_ address: RedisAddress) {
        if servers[address] != nil { onUp(address) }
    }

    /// A server that was named by another one.
    private func guest(at address: RedisAddress) -> RedisLink? {
        if servers[address] == nil { connect(to: address, as: nil) }
        servers[address]?.lastUse = eventLoop.now
        return servers[address]?.link
    }

    /// The function is gone, as after `FUNCTION FLUSH`.
    private func prepareAgain(_ address: RedisAddress) {
        guard let server = servers[address], let connection = server.link.current,
            eventLoop.now - server.lastPrepared > ClusterCommands.prepareInterval
        else { return }
        servers[address]?.lastPrepared = eventLoop.now
        _ = prepare(connection)
    }

    /// Whether a server is a master at this moment, as it says itself.
    package func isMaster(_ address: RedisAddress) -> EventLoopFuture<Bool> {
        guard let link = servers[address]?.link else { return eventLoop.makeFailedFuture(RedisError.unavailable) }
        return link.send(["HELLO"]).map { RedisGreeting($0)?.isReplica != true }.flatMapErrorThrowing { error in
            // One that does not answer this at all is believed to be what the topology says.
            guard case RedisError.refused = error else { throw error }
            return true
        }
    }

    // MARK: Commands

    /// Why commands of so many bytes would not be sent now; nil: they would be.
    package func refusal(of bytes: Int) -> RedisError? {
        guard isUp else { return .unavailable }
        let before = servers.values.reduce(waiting.bytes) { $0 + $1.link.bytesWaiting }
        return before + bytes > ClusterCommands.bytesWaitingMax ? .overloaded : nil
    }

    /// Sends a command whose names are all of one partition. Fails with ``RedisError``.
    ///
    /// - Parameter patience: how long it may be tried again while the partition is between two masters.
    package func send(
        _ command: RESPCommand, to partition: Partition, patience: TimeAmount = .zero
    ) -> EventLoopFuture<RESPValue> {
        let promise = eventLoop.makePromise(of: RESPValue.self)
        let command = ClusterQueue.Command(
            command, of: partition, attempts: ClusterAttempts(until: eventLoop.now + patience), promise: promise)
        // What came first is tried first.
        if patience > .zero, waiting.isWaiting(partition) { wait(command) } else { dispatch(command) }
        return promise.futureResult
    }

    private func dispatch(_ command: ClusterQueue.Command) {
        guard let owner = map?.owners[command.partition.index], let link = servers[owner.address]?.link else {
            return failed(command, .unavailable, asked: nil)
        }
        submit(command, to: owner.address, over: link)
    }

    private func submit(_ command: ClusterQueue.Command, to address: RedisAddress, over link: RedisLink) {
        link.send(command.command).assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let reply):
                waiting.succeeded(command.partition)
                command.promise.succeed(reply)
            case .failure(let error): failed(command, error as? RedisError ?? .lost("\(error)"), asked: address)
            }
        }
    }

    private func failed(_ command: ClusterQueue.Command, _ error: RedisError, asked: RedisAddress?) {
        var command = command
        let (action, sign) = command.attempts.failed(
            error, asked: asked, now: eventLoop.now, limit: waiting.limit(command.partition, now: eventLoop.now))
        if case .look(let trusted) = sign { look(trusting: trusted) }
        if error.lacksFunction, let asked { prepareAgain(asked) }
        switch action {
        case .follow(let redirection):
            guard let link = guest(at: redirection.address) else { return command.promise.fail(error) }
            if redirection.isAsking { _ = link.send(["ASKING"]) }
            submit(command, to: redirection.address, over: link)
        case .tryLater: wait(command)
        case .fail: command.promise.fail(error)
        }
    }

    private func wait(_ command: ClusterQueue.Command) {
        var generator = SystemRandomNumberGenerator()
        let partition = command.partition
        guard let time = waiting.add(command, now: eventLoop.now, using: &generator) else { return }
        eventLoop.assumeIsolated().scheduleTask(deadline: time) { [self] in
            for var command in waiting.take(partition) {
                command.attempts.tryAgain()
                dispatch(command)
            }
        }
    }
}

@available(*, unavailable)
extension ClusterCommands: Sendable {}
