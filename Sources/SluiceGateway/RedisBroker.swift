// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import SluiceCore
import SluiceRedis

/// Redis as the broker: a feed for what arrives, a command connection for the rest.
package final class RedisBroker: Broker {
    /// How long a channel that nobody listens to any more stays subscribed: browsers come back after a blink.
    private static let linger = TimeAmount.seconds(5)
    private static let timeout = TimeAmount.seconds(5)

    private let endpoint: RedisEndpoint
    private let names: RedisNames
    private let nodeID: String
    private let eventLoop: any EventLoop
    private let logger: Logger
    private weak var hub: Hub?
    private var feed: RedisFeed?
    private var commands: RedisCommands?
    private var channels: [String: (target: Target, number: TargetNumber)] = [:]
    private var lastChannel: (name: [UInt8], number: TargetNumber)?

    package let name = "redis"

    package init(endpoint: RedisEndpoint, names: RedisNames, nodeID: String, eventLoop: any EventLoop, logger: Logger) {
        self.endpoint = endpoint
        self.names = names
        self.nodeID = nodeID
        self.eventLoop = eventLoop
        self.logger = logger
    }

    package func start(feeding hub: Hub) {
        self.hub = hub
        let commands = RedisCommands(endpoint: endpoint, eventLoop: eventLoop, logger: logger) {
            SluiceFunction.install(on: $0, timeout: RedisBroker.timeout)
        }
        let feed = RedisFeed(
            endpoint: endpoint, eventLoop: eventLoop, logger: logger, linger: RedisBroker.linger,
            callbacks: RedisFeed.Callbacks(
                onMessage: { [unowned self] in received($0, $1) },
                onReadComplete: { [unowned hub] in hub.flush() },
                onConfirmed: { [unowned self] in
                    guard let target = channels[$0]?.target else { return }
                    hub.flush()
                    hub.confirmed(target)
                },
                onGone: { [unowned self] in
                    guard let target = channels.removeValue(forKey: $0)?.target else { return }
                    lastChannel = nil
                    hub.gone(target)
                },
                onUp: { [unowned hub] in hub.feedIsUp() },
                onDown: { [unowned hub] in hub.feedIsDown() }))
        self.commands = commands
        self.feed = feed
        _ = feed.want(names.node(nodeID))
        commands.start()
        feed.start()
    }

    package func stop() {
        feed?.stop()
        commands?.stop()
    }

    package func want(_ target: Target, as number: TargetNumber) -> Bool {
        let channel = names.channel(target)
        channels[channel] = (target, number)
        return feed?.want(channel) ?? false
    }

    package func release(_ target: Target) {
        feed?.release(names.channel(target))
    }

    private func received(_ channel: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer) {
        // A burst is mostly of one channel: its bytes are compared before its name is made.
        if let lastChannel, lastChannel.name.elementsEqual(channel) {
            hub?.receive(payload, for: lastChannel.number)
            return
        }
        let name = String(decoding: channel, as: UTF8.self)
        if let number = channels[name]?.number {
            lastChannel = (Array(channel), number)
            hub?.receive(payload, for: number)
        } else if name == names.node(nodeID) {
            receivedTick(payload)
        }
    }

    /// `tick <clock> <born>`, from the function.
    private func receivedTick(_ payload: UnsafeRawBufferPointer) {
        let words = payload.split(separator: UInt8(ascii: " "))
        guard words.count == 3, words[0].elementsEqual("tick".utf8), let clock = EventID(words[1]) else { return }
        hub?.receive(clock: clock)
    }

    private func send(_ command: RESPCommand) -> EventLoopFuture<RESPValue> {
        commands?.send(command) ?? eventLoop.makeFailedFuture(RedisError.unavailable)
    }

    package func mark() -> EventLoopFuture<EventID> {
        send(["HGET", names.clock, "last"]).map { $0.string.flatMap { EventID($0) } ?? .zero }
    }

    package func tick(known: EventID) {
        send(["FCALL", "sluice_tick", "1", names.node(nodeID), known.description]).whenComplete { _ in }
    }

    package func publish(_ publication: Publication) -> EventLoopFuture<Receipt> {
        var command: RESPCommand = ["FCALL", "sluice_publish", "1", names.channel(publication.target)]
        command.words.append(publication.data)
        func option(_ name: String, _ value: String) {
            command.append(name)
            command.append(value)
        }
        if let type = publication.type { option("event", type) }
        if let key = publication.key { option("key", key) }
        if publication.ends { option("end", "1") }
        if publication.isLogged {
            option("maxlen", String(publication.maxlen))
            option("ttl", String(publication.ttl))
        } else {
            option("log", "0")
        }
        if let once = publication.once { option("once", once) }
        return send(command).flatMapThrowing { reply in
            guard let parts = reply.array, parts.count == 2, let id = parts[0].string, case .integer(let nodes) = parts[1]
            else { throw PublishFailure.unavailable("Redis sent an unexpected reply") }
            return Receipt(id: EventID(id), nodes: Int(nodes))
        }.flatMapErrorThrowing { error in throw RedisBroker.failure(error) }
    }

    private static func failure(_ error: any Error) -> PublishFailure {
        switch error {
        case let failure as PublishFailure: failure
        case RedisError.refused(let message) where message.hasPrefix("SLUICE"): .refused(message)
        // Everything else, as LOADING, READONLY, OOM or NOPERM, is a state of Redis, not a fault of the request.
        default: .unavailable("\(error)")
        }
    }
}
