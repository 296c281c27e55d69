// SPDX-License-Identifier: Apache-2.0
import Glibc
import Logging
import NIOCore
import NIOPosix
import SluiceCore
import SluiceRedis

/// One node: its loops, its broker, its listeners, and their start and end.
package final class Gateway: Sendable {
    /// Descriptors that are not for streams: Redis, files, listeners, and connections that only ask something.
    private static let descriptorReserve = 200
    private static let housekeepingInterval = Duration.seconds(10)
    /// Memory is given back once a minute.
    private static let trimRounds = 6
    /// How long the ready line waits for Redis. A node may start while Redis is away.
    private static let brokerWait = Duration.seconds(2)
    /// What a drain grants requests that were begun beyond its time.
    private static let requestGrace = Duration.seconds(5)
    /// How long a drain stays for requests that may still come on open connections: they are told that those close.
    private static let lastRequestsTime = Duration.seconds(1)

    /// How long a node that ends waits for the broker to take it off the registry.
    private static let leaveTime = TimeAmount.milliseconds(500)

    private let group: MultiThreadedEventLoopGroup
    private let node: Node
    private let shards: [Confined<Shard>]
    private let listeners: [any Channel]
    private let brokerName: String
    /// What may change while the node runs, by the setting that names it.
    private let certificates: [(setting: String, files: TLSFiles)]
    /// Where it listens, with the ports that were chosen.
    package let addresses: [ListenAddress]
    /// Empty: off.
    package let adminAddresses: [ListenAddress]

    private init(
        group: MultiThreadedEventLoopGroup, node: Node, shards: [Confined<Shard>], listeners: [any Channel],
        brokerName: String, certificates: [(setting: String, files: TLSFiles)], addresses: [ListenAddress],
        adminAddresses: [ListenAddress]
    ) {
        self.group = group
        self.node = node
        self.shards = shards
        self.listeners = listeners
        self.brokerName = brokerName
        self.certificates = certificates
        self.addresses = addresses
        self.adminAddresses = adminAddresses
    }

    /// Starts a node; when this returns it takes requests.
    ///
    /// - Throws: ``Listener/PortInUse``, ``ListenAddress/Unresolved``, ``TLSFiles/Unusable``, or what the kernel says.
    package static func start(_ settings: Settings, counters: Counters, logger: Logger) async throws -> Gateway {
        let descriptors = raiseDescriptorLimit()
        if settings.streamsMax == 0, descriptors < 1024 {
            logger.warning("few streams fit: raise the limit of descriptors", metadata: ["limit": "\(descriptors)"])
        }
        let group = MultiThreadedEventLoopGroup(
            numberOfThreads: settings.threads > 0 ? settings.threads : System.coreCount)
        do {
            return try await start(
                settings, counters: counters, logger: logger, descriptors: descriptors, group: group)
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
    }

    private static func start(
        _ settings: Settings, counters: Counters, logger: Logger, descriptors: Int, group: MultiThreadedEventLoopGroup
    ) async throws -> Gateway {
        let status = NodeStatus()
        let loops = Array(group.makeIterator())
        let certificate: TLSFiles? =
            if let file = settings.tlsCertificate, let key = settings.tlsKey {
                try .server(certificate: file, key: key)
            } else { nil }
        let tokens: TokenVerifier? =
            settings.auth == .jwt
            ? try await TokenVerifier(
                settings, eventLoop: loops[0], wallClock: WallClock.milliseconds, clock: { loops[0].now },
                logger: logger) : nil
        let endpoint = try settings.redis.map {
            try RedisEndpoint(
                url: $0, certificateAuthority: settings.redisCertificateAuthority,
                certificate: settings.redisCertificate, key: settings.redisKey,
                clientName: "sluice-\(settings.nodeID)")
        }
        let (hub, brokerName) = try await hub(
            settings, endpoint: endpoint, eventLoop: loops[0], counters: counters, status: status, logger: logger)
        let quotas = StreamQuotas(perAddress: settings.streamsPerAddressMax, perClient: settings.streamsPerClientMax)
        let limits = Shard.Limits(settings, shardCount: loops.count)
        let partitioning = try await hub.eventLoop.submit { hub.value.partitioning }.get()
        let shards = try await shards(
            on: loops, partitioning: partitioning, limits: limits, head: StreamHead(nodeID: settings.nodeID),
            counters: counters, quotas: quotas, log: EventLog(logger))
        let node = Node(
            settings: settings, counters: counters, status: status, hub: hub,
            streamsMax: settings.streamsMax > 0 ? settings.streamsMax : max(1, descriptors - descriptorReserve),
            connectionsMax: settings.connectionsMax > 0
                ? settings.connectionsMax : max(descriptors / 2, descriptors - descriptorReserve / 2),
            retry: limits.retry, streamQuotas: quotas, tokens: tokens, logger: logger)

        // Ports first: a second node on the same one must fail before it touches Redis.
        var admin: (channels: [any Channel], addresses: [ListenAddress]) = ([], [])
        if let adminListen = settings.adminListen {
            admin = try await Listener.bind(
                adminListen, pipeline: node.adminPipeline, shards: Array(shards.prefix(1)))
        }
        let (listeners, addresses) = try await Listener.bind(
            settings.listen,
            pipeline: node.publicPipeline(certificate: certificate, admin: admin.addresses.first), shards: shards)
        let receivers = shards.map(\.receiver)
        let reporter = node.reporter(listen: shown(addresses), started: WallClock.milliseconds())
        let (presence, rebalances) = (settings.tellsPresence, settings.rebalances)
        hub.run { $0.start(shards: receivers, reporter: reporter, tellsPresence: presence, rebalances: rebalances) }
        for shard in shards { shard.run { $0.start(hub: hub) } }
        // Who comes before the keys are there would be refused for good.
        await tokens?.start()
        try await Listener.accept(listeners + admin.channels)
        await waitForBroker(status, partitioning)
        return Gateway(
            group: group, node: node, shards: shards, listeners: listeners + admin.channels, brokerName: brokerName,
            certificates: [("--tls-cert", certificate), ("--redis-cert", endpoint?.tls)].compactMap { name, files in
                files.map { (setting: name, files: $0) }
            },
            addresses: addresses, adminAddresses: admin.addresses)
    }

    private static func hub(
        _ settings: Settings, endpoint: RedisEndpoint?, eventLoop: any EventLoop, counters: Counters,
        status: NodeStatus, logger: Logger
    ) async throws -> (hub: Confined<Hub>, brokerName: String) {
        try await eventLoop.submit {
            let broker = broker(settings, endpoint: endpoint, eventLoop: eventLoop, logger: logger)
            var limits = FeedMachine.Limits(event: settings.eventBytesMax)
            limits.heardOfTarget = settings.topicBytes
            let hub = Hub(
                eventLoop: eventLoop, broker: broker, limits: limits, replayCacheBytes: settings.replayCacheBytes,
                sampling: settings.logSample,
                counters: counters, status: status, wallClock: WallClock.milliseconds, logger: logger)
            return (Confined(hub, on: eventLoop), broker.name)
        }.get()
    }

    /// One for each loop.
    private static func shards(
        on loops: [any EventLoop], partitioning: Partitioning, limits: Shard.Limits, head: StreamHead,
        counters: Counters, quotas: StreamQuotas, log: EventLog
    ) async throws -> [Confined<Shard>] {
        var shards: [Confined<Shard>] = []
        for (index, loop) in loops.enumerated() {
            shards.append(
                try await loop.submit {
                    Confined(
                        Shard(
                            index: index, eventLoop: loop, partitioning: partitioning, limits: limits, head: head,
                            counters: counters, quotas: quotas, log: log), on: loop)
                }.get())
        }
        return shards
    }

    private static func broker(
        _ settings: Settings, endpoint: RedisEndpoint?, eventLoop: any EventLoop, logger: Logger
    ) -> any Broker {
        guard let endpoint, let url = settings.redis else {
            return MemoryBroker(eventLoop: eventLoop, wallClock: WallClock.milliseconds)
        }
        if url.kind == .cluster {
            return ClusterBroker(
                seeds: url.hosts, endpoint: endpoint, prefix: settings.prefix, nodeID: settings.nodeID,
                presenceEvents: settings.presenceEvents, eventLoop: eventLoop, logger: logger)
        }
        let login = SentinelLogin(user: settings.sentinelUser, password: settings.sentinelPassword)
        let locator = RedisLocator(url, endpoint, sentinel: login, on: eventLoop, logger: logger)
        return RedisBroker(
            locator, names: RedisNames(prefix: settings.prefix), nodeID: settings.nodeID,
            presenceEvents: settings.presenceEvents, eventLoop: eventLoop, logger: logger)
    }

    private static func raiseDescriptorLimit() -> Int {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return Int(clamping: limit.rlim_cur)
    }

    private static func waitForBroker(_ status: NodeStatus, _ partitioning: Partitioning) async {
        let end = ContinuousClock.now + brokerWait
        while !status.feeds.isSuperset(of: partitioning.all), ContinuousClock.now < end {
            try? await Task.sleep(for: .milliseconds(5))
        }
    }

    /// Reads the certificates' files that have changed.
    package func reloadCertificates() {
        for (setting, files) in certificates {
            do {
                guard try files.reload() else { continue }
                node.counters.certificatesLoaded.add(1)
                node.logger.notice("a new certificate is used from now on", metadata: ["setting": "\(setting)"])
            } catch {
                node.logger.error(
                    "the certificate can't be read anew; the old one stays", metadata: ["reason": "\(error)"])
            }
        }
    }

    /// What is to be done now and then and is nobody's loop's work, until the task is cancelled: looks for a new
    /// certificate, and gives memory back.
    package func housekeep() async {
        var rounds = 0
        while !Task.isCancelled {
            try? await Task.sleep(for: Gateway.housekeepingInterval)
            reloadCertificates()
            rounds += 1
            if rounds.isMultiple(of: Gateway.trimRounds) { MemoryTrim.trim() }
        }
    }

    /// What a script waits for.
    package var readyLine: String {
        let admin = adminAddresses.isEmpty ? "off" : Gateway.shown(adminAddresses)
        return
            "sluice ready listen=\(Gateway.shown(addresses)) admin=\(admin) node=\(node.settings.nodeID) broker=\(brokerName)"
    }

    private static func shown(_ addresses: [ListenAddress]) -> String {
        addresses.map(\.description).joined(separator: ",")
    }

    /// Sends the streams away over the drain time. New ones are sent away at once; everything else is still answered, and
    /// what was begun has some seconds more to be.
    package func drain() async {
        node.status.beginDrain()
        let time = Duration.nanoseconds(node.settings.drain.nanoseconds)
        let counters = node.counters
        node.logger.notice("draining", metadata: ["streams": "\(counters.streamsOpen.value)"])
        for shard in shards { shard.run { [node] in $0.beginDrain(over: node.settings.drain) } }
        let start = ContinuousClock.now
        let streamsEnd = start + time + .milliseconds(500)
        while !Task.isCancelled {
            let now = ContinuousClock.now
            let hasStreams = counters.streamsOpen.value > 0 && now < streamsEnd
            let hasRequests = counters.requestsOpen.value > 0 && now < start + time + Gateway.requestGrace
            let mayGetRequests = counters.connectionsOpen.value > 0 && now < start + min(time, Gateway.lastRequestsTime)
            guard hasStreams || hasRequests || mayGetRequests else { break }
            try? await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Ends everything, in the order in which each can still say goodbye to the next.
    package func stop() async {
        for listener in listeners { try? await listener.close() }
        for shard in shards { try? await shard.eventLoop.submit { shard.value.stop() }.get() }
        let end = ContinuousClock.now + .seconds(1)
        while node.counters.streamsOpen.value > 0, ContinuousClock.now < end {
            try? await Task.sleep(for: .milliseconds(5))
        }
        node.tokens?.stop()
        let hub = node.hub
        let left = hub.eventLoop.flatSubmit { hub.value.leave() }
        // A broker that is away finds out by itself.
        let limit = hub.eventLoop.makePromise(of: Void.self)
        left.cascade(to: limit)
        hub.eventLoop.scheduleTask(in: Gateway.leaveTime) { limit.succeed() }
        try? await limit.futureResult.get()
        try? await hub.eventLoop.submit { hub.value.stop() }.get()
        try? await group.shutdownGracefully()
    }
}
