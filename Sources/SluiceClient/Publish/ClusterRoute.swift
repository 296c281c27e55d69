// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import SluiceCore
import SluiceRedis

/// Publishes through a Redis Cluster: each event at the master of its partition, over connections that stay.
actor ClusterRoute: PublishRoute {
    private static let connectTime = TimeAmount.seconds(10)
    private static let checkInterval = TimeAmount.milliseconds(10)
    private static let installTime = TimeAmount.seconds(10)
    /// How long an event waits for a partition that is between two masters.
    private static let patience = TimeAmount.seconds(2)

    private let seeds: [RedisAddress]
    private let endpoint: RedisEndpoint
    private let eventLoop: any EventLoop
    private let names: RedisNames
    private let isPlain: Bool
    private let box: NIOLoopBoundBox<ClusterCommands?>

    init(
        seeds: [RedisAddress], endpoint: RedisEndpoint, prefix: String, isPlain: Bool, on eventLoop: any EventLoop
    ) {
        self.seeds = seeds
        self.endpoint = endpoint
        self.eventLoop = eventLoop
        self.isPlain = isPlain
        names = RedisNames(prefix: prefix, partitioning: .cluster)
        box = .makeEmptyBox(valueType: ClusterCommands.self, eventLoop: eventLoop)
    }

    deinit {
        // A publisher that nobody has closed.
        let box = box
        eventLoop.execute {
            box.value?.stop()
            box.value = nil
        }
    }

    /// Connects to all masters, and installs the function where it is missing. One that is away for so long is left to the
    /// events that need it.
    func connect() async throws(ClientError) {
        let connected = eventLoop.flatSubmit { [self] in
            let promise = eventLoop.makePromise(of: Void.self)
            wait(until: .now() + ClusterRoute.connectTime, promise)
            return promise.futureResult
        }
        do { try await connected.get() } catch {
            throw error as? ClientError ?? ClientError("can't connect to \(endpoint.url)", error)
        }
    }

    private nonisolated func wait(until end: NIODeadline, _ promise: EventLoopPromise<Void>) {
        let commands = commands()
        if commands.isWhole || (NIODeadline.now() > end && commands.isUp) { return promise.succeed() }
        if let reason = commands.outage ?? (NIODeadline.now() > end ? "no master can be connected to" : nil) {
            return promise.fail(ClientError("can't connect to the cluster: \(reason)"))
        }
        eventLoop.scheduleTask(in: ClusterRoute.checkInterval) { self.wait(until: end, promise) }
    }

    /// To be called on the loop.
    private nonisolated func commands() -> ClusterCommands {
        if let commands = box.value { return commands }
        let isPlain = isPlain
        let commands = ClusterCommands(
            seeds: seeds, endpoint: endpoint, on: eventLoop,
            logger: Logger(label: "sluice") { _ in SwiftLogNoOpLogHandler() },
            prepare: { connection in
                if isPlain { return connection.eventLoop.makeSucceededVoidFuture() }
                return SluiceFunction.install(on: connection, timeout: ClusterRoute.installTime).flatMapErrorThrowing {
                    // A publisher's user may lack the right to install; a node has done it, or the publish itself says so.
                    guard case RedisError.refused = $0 else { throw $0 }
                }
            })
        box.value = commands
        commands.start()
        return commands
    }

    func publish(_ publications: [Publication]) async -> [Result<Receipt, ClientError>] {
        let names = names
        let commands = publications.map { publication in
            let command: RESPCommand =
                isPlain
                ? .publish(publication.event.data, on: names.channel(publication.target), of: names.partitioning)
                : SluiceFunction.publish(publication, names: names)
            return (command, names.partitioning.partition(of: publication.target))
        }
        let replies = eventLoop.flatSubmit { [self] in
            let cluster = self.commands()
            let replies = commands.map { cluster.send($0, to: $1, patience: ClusterRoute.patience) }
            return EventLoopFuture.whenAllComplete(replies, on: eventLoop)
        }
        let results = ((try? await replies.get()) ?? []).map(RedisRoute.result)
        return await countReplicas(of: publications, results)
    }

    /// Each master knows what its own replicas have.
    private func countReplicas(
        of publications: [Publication], _ results: [Result<Receipt, ClientError>]
    ) async -> [Result<Receipt, ClientError>] {
        var wanted: [Partition: Int] = [:]
        for publication in publications {
            guard let replicas = publication.replicas else { continue }
            let partition = names.partitioning.partition(of: publication.target)
            wanted[partition] = max(replicas, wanted[partition] ?? 0)
        }
        var counts: [Partition: Int] = [:]
        for (partition, wanted) in wanted {
            let reply = eventLoop.flatSubmit { [self] in
                commands().send(RedisRoute.wait(for: wanted), to: partition, patience: .zero)
            }
            counts[partition] = RedisRoute.replicas(try? await reply.get())
        }
        return zip(publications, results).map { publication, result in
            guard publication.replicas != nil else { return result }
            let count = counts[names.partitioning.partition(of: publication.target)]
            return result.map { Receipt(id: $0.id, nodes: $0.nodes, replicas: count) }
        }
    }

    func close() async {
        let box = box
        try? await eventLoop.submit {
            box.value?.stop()
            box.value = nil
        }.get()
    }
}
