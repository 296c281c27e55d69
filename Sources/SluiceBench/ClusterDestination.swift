// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import SluiceClient
import SluiceCore
import SluiceRedis

/// Publishes to a Redis Cluster: each topic at the master of its partition. Confined to its event loop.
final class ClusterDestination {
    typealias Publish = (_ payload: ByteBuffer, _ topic: Int) -> EventLoopFuture<Int?>

    private static let connectTime = TimeAmount.seconds(10)
    private static let checkInterval = TimeAmount.milliseconds(10)
    /// How long a message waits for a partition that is between two masters.
    private static let patience = TimeAmount.seconds(10)

    private let channel: Template
    private let isLogged: Bool
    private let partitioning = Partitioning.cluster
    private let eventLoop: any EventLoop
    private let commands: ClusterCommands

    private init(
        seeds: [RedisAddress], _ endpoint: RedisEndpoint, channel: Template, isLogged: Bool, on loop: any EventLoop
    ) {
        eventLoop = loop
        self.channel = channel
        self.isLogged = isLogged
        commands = ClusterCommands(
            seeds: seeds, endpoint: endpoint, on: loop,
            logger: Logger(label: "sluice") { _ in SwiftLogNoOpLogHandler() },
            prepare: { connection in
                guard isLogged else { return loop.makeSucceededVoidFuture() }
                return SluiceFunction.install(on: connection, timeout: ClusterDestination.connectTime)
            })
    }

    /// - Returns: the publisher, once all masters are connected. It lives as long as the process.
    /// - Throws: ``ClientError``.
    static func connect(
        seeds: [RedisAddress], _ endpoint: RedisEndpoint, channel: Template, isLogged: Bool, on loop: any EventLoop
    ) async throws -> NIOLoopBound<Publish> {
        guard ClusterDestination.split(channel.text(topic: 0)) != nil else {
            throw ClientError("--channel is <prefix>:topic:<name>, <prefix>:client:<name> or <prefix>:all in a cluster")
        }
        let connected = loop.flatSubmit {
            let destination = ClusterDestination(
                seeds: seeds, endpoint, channel: channel, isLogged: isLogged, on: loop)
            let promise = loop.makePromise(of: NIOLoopBound<Publish>.self)
            destination.commands.start()
            destination.wait(until: loop.now + connectTime, promise)
            return promise.futureResult
        }
        return try await connected.get()
    }

    private func wait(
        until end: NIODeadline, _ promise: EventLoopPromise<NIOLoopBound<Publish>>
    ) {
        if commands.isWhole { return promise.succeed(NIOLoopBound({ self.publish($0, $1) }, eventLoop: eventLoop)) }
        if let reason = commands.outage ?? (eventLoop.now > end ? "a master can't be connected to" : nil) {
            commands.stop()
            return promise.fail(ClientError("can't connect to the cluster: \(reason)"))
        }
        eventLoop.assumeIsolated().scheduleTask(in: ClusterDestination.checkInterval) {
            self.wait(until: end, promise)
        }
    }

    private func publish(_ payload: ByteBuffer, _ topic: Int) -> EventLoopFuture<Int?> {
        guard let (prefix, target) = ClusterDestination.split(channel.text(topic: topic)) else {
            return eventLoop.makeFailedFuture(ClientError("no channel of a cluster"))
        }
        let names = RedisNames(prefix: prefix, partitioning: partitioning)
        let command: RESPCommand =
            isLogged
            ? SluiceFunction.publish(Publication(Event(payload), to: target), names: names)
            : .publish(payload, on: names.channel(target), of: partitioning)
        return commands.send(
            command, to: partitioning.partition(of: target), patience: ClusterDestination.patience
        ).map { Receipt(reply: $0)?.nodes }
    }

    /// The name that the channel has with one server, as prefix and target: in a cluster the partition's tag is between them.
    private static func split(_ channel: String) -> (prefix: String, target: Target)? {
        guard let colon = channel.firstIndex(of: ":"), let target = Target(channel[channel.index(after: colon)...])
        else { return nil }
        return (String(channel[..<colon]), target)
    }
}

@available(*, unavailable)
extension ClusterDestination: Sendable {}
