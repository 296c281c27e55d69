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
    /// In milliseconds: the function gives out times of at most 15 digits, so a later one is forged.
    private static let timeMax: UInt64 = 1_000_000_000_000_000
    /// Published to the node's own channel where the tick is refused: it needs no write.
    private static let signOfLife = "alive"

    private let locator: RedisLocator
    private let names: RedisNames
    private let nodeID: String
    private let eventLoop: any EventLoop
    private let logger: Logger
    private weak var hub: Hub?
    private var feed: RedisFeed?
    private let commands: RedisLink
    private var channels: [ExactText: (target: Target, number: TargetNumber)] = [:]
    private var lastChannel: (name: [UInt8], number: TargetNumber)?
    private var complaints = Complaints(interval: .minutes(1))

    package let name = "redis"

    package init(
        _ locator: RedisLocator, names: RedisNames, nodeID: String, eventLoop: any EventLoop, logger: Logger
    ) {
        self.locator = locator
        commands = RedisLink(to: locator, on: eventLoop, logger: logger)
        self.names = names
        self.nodeID = nodeID
        self.eventLoop = eventLoop
        self.logger = logger
    }

    package func start(feeding hub: Hub) {
        self.hub = hub
        let feed = RedisFeed(
            from: locator, on: eventLoop, logger: logger, linger: RedisBroker.linger,
            permitted: { [unowned self] in permitted($0) }, tell: { [unowned self] in take($0) })
        self.feed = feed
        _ = feed.want(names.node(nodeID))
        _ = feed.want(names.control)
        commands.start { [unowned self] in install(on: $0) }
        feed.start()
    }

    private func take(_ notice: RedisFeed.Notice) {
        switch notice {
        case .message(let channel, let payload): received(payload, on: channel)
        case .readComplete: hub?.flush()
        case .confirmed(let channel):
            guard let target = channels[ExactText(channel)]?.target else { return }
            hub?.flush()
            hub?.confirmed(target)
        case .gone(let channel):
            guard let target = channels.removeValue(forKey: ExactText(channel))?.target else { return }
            lastChannel = nil
            hub?.gone(target)
        case .up: hub?.feedIsUp()
        case .down: hub?.feedIsDown()
        }
    }

    /// A Redis that does not take the function (a replica, or one that is full) still carries plain events, and answers
    /// what needs no function. Each tick tries again.
    private func install(on connection: RedisConnection) -> EventLoopFuture<Void> {
        SluiceFunction.install(on: connection, timeout: RedisBroker.timeout).assumeIsolated().flatMapErrorThrowing {
            [self] error in
            guard case RedisError.refused(let reason) = error else { throw error }
            hub?.counters.count(RedisRefusal(reason))
            guard complaints.isDue("function", now: eventLoop.now) else { return }
            logger.error(
                "Redis does not take the function that publishing and coming back need",
                metadata: ["reason": "\(reason)"])
        }.nonisolated()
    }

    package func stop() {
        feed?.stop()
        commands.stop()
    }

    package func want(_ target: Target, as number: TargetNumber) -> Bool {
        let channel = names.channel(target)
        channels[ExactText(channel)] = (target, number)
        return feed?.want(channel) ?? false
    }

    package func release(_ target: Target) {
        feed?.release(names.channel(target))
    }

    private func received(_ payload: UnsafeRawBufferPointer, on channel: UnsafeRawBufferPointer) {
        // A burst is mostly of one channel: its bytes are compared before its name is made.
        if let lastChannel, lastChannel.name.elementsEqual(channel) {
            hub?.receive(payload, for: lastChannel.number)
            return
        }
        let name = String(decoding: channel, as: UTF8.self)
        if let number = channels[ExactText(name)]?.number {
            lastChannel = (Array(channel), number)
            hub?.receive(payload, for: number)
        } else if name == names.node(nodeID) {
            if payload.elementsEqual(RedisBroker.signOfLife.utf8) { hub?.isAlive() } else { receivedTick(payload) }
        } else if name == names.control {
            hub?.receive(order: payload)
        }
    }

    /// `tick <clock> <born>`, from the function.
    private func receivedTick(_ payload: UnsafeRawBufferPointer) {
        let words = payload.split(separator: UInt8(ascii: " "))
        guard words.count == 3, words[0].elementsEqual("tick".utf8), let clock = EventID(words[1]),
            let born = UInt64(String(decoding: words[2], as: UTF8.self)),
            max(clock.milliseconds, born) < RedisBroker.timeMax
        else { return }
        hub?.receive(clock: clock, born: born)
    }

    package func reconnect() {
        feed?.reconnect()
    }

    private func send(_ command: RESPCommand) -> EventLoopFuture<RESPValue> {
        let reply = commands.send(command)
        reply.assumeIsolated().whenFailure { [weak self] in self?.note($0) }
        return reply
    }

    /// Counts what Redis refuses, and says why: a node that lacks a right is connected and ready, and yet its streams never
    /// begin; and a client whose publish fails is not told in Redis' own words, which name users and keys.
    private func note(_ error: any Error) {
        guard case RedisError.refused(let reason) = error else { return }
        let refusal = RedisRefusal(reason)
        hub?.counters.count(refusal)
        // What our function refuses is the client's fault, and the client is told.
        guard refusal != .function, complaints.isDue("\(refusal)", now: eventLoop.now) else { return }
        logger.error(
            refusal == .noperm
                ? "Redis refuses what a node has to do; see deploy/users.acl" : "Redis refuses a command",
            metadata: ["reason": "\(reason)"])
    }

    private func permitted(_ channels: [String]) -> EventLoopFuture<[String]> {
        send(RESPCommand(["FCALL", "sluice_may_subscribe", "0"] + channels)).map { reply in
            (reply.array ?? []).compactMap(\.string)
        }
    }

    package func mark(markersOf targets: [Target]) -> EventLoopFuture<ClockReading> {
        // The clock first: a marker that is later than it says nothing of what was before.
        let clock = send(["HMGET", names.clock, "last", "born"])
        let markers =
            targets.isEmpty
            ? eventLoop.makeSucceededFuture(RESPValue.array([]))
            : send(RESPCommand(["MGET"] + targets.map { names.marker($0) }))
        return clock.and(markers).flatMapThrowing { clock, markers in
            let fields = clock.array ?? []
            // A data set without a clock is a new one: the next tick makes it, and says when it was born.
            guard fields.count == 2, let last = fields[0].string.flatMap({ EventID($0) }),
                let born = fields[1].string.flatMap({ UInt64($0) }),
                max(last.milliseconds, born) < RedisBroker.timeMax
            else { throw RedisError.unavailable }
            return ClockReading(
                clock: last, born: born, markers: (markers.array ?? []).map { $0.string.flatMap { LogMarker($0) } })
        }
    }

    package func read(_ reads: [LogRead], bytes: Int) -> EventLoopFuture<[LogRead.Outcome]> {
        var command: RESPCommand = ["FCALL", "sluice_read", "\(reads.count * 2)"]
        for read in reads {
            command.append(names.channel(read.target))
            command.append(names.marker(read.target))
        }
        command.append("\(bytes)")
        for read in reads {
            command.append("\(read.after)")
            command.append("\(read.bytes)")
        }
        return send(command).flatMapThrowing { reply in
            guard let outcomes = reply.array, !outcomes.isEmpty, outcomes.count <= reads.count else {
                throw RedisError.unavailable
            }
            return try outcomes.map { try RedisBroker.outcome($0) }
        }
    }

    /// `[problem, marker, read up to, whether that was all, entries]`, as the function replies for each log.
    private static func outcome(_ value: RESPValue) throws -> LogRead.Outcome {
        guard let parts = value.array, parts.count == 5, let problem = parts[0].string,
            case .integer(let isLast) = parts[3], let entries = parts[4].array
        else { throw RedisError.unavailable }
        guard problem.isEmpty else { return .unreadable(problem) }
        // Behind an id that the clock can't have given out there is none of ours.
        let upTo = parts[2].string.flatMap { EventID($0) }
        return .page(
            LogPage(
                marker: parts[1].string.flatMap { LogMarker($0) }, entries: entries.compactMap { entry($0) },
                upTo: upTo, isLast: isLast == 1 || upTo == nil))
    }

    /// `[id, [name, value, …]]`, as the function wrote it; nil for what somebody else has put there.
    private static func entry(_ value: RESPValue) -> LogEntry? {
        guard let parts = value.array, parts.count == 2, let id = parts[0].string.flatMap({ EventID($0) }),
            let fields = parts[1].array
        else { return nil }
        var previous: EventID?
        var type: String?
        var key: String?
        var ends = false
        var data: ByteBuffer?
        for index in stride(from: 0, to: fields.count - 1, by: 2) {
            guard case .bulk(let bytes) = fields[index + 1] else { return nil }
            switch fields[index].string {
            case "p": previous = EventID(bytes.readableBytesView)
            case "d": data = bytes
            case "e": type = String(validating: bytes.readableBytesView, as: UTF8.self)
            case "k": key = String(validating: bytes.readableBytesView, as: UTF8.self)
            case "end": ends = true
            default: break
            }
        }
        guard let data, type.map({ EventLabel.problem(type: $0) == nil }) ?? true else { return nil }
        return LogEntry(id: id, previous: previous, type: type, key: key, ends: ends, data: data)
    }

    package func tick(known: EventID) {
        let asked = eventLoop.now
        let tick = send(["FCALL", "sluice_tick", "1", names.node(nodeID), known.description])
        tick.assumeIsolated().whenComplete { [weak self] result in
            switch result {
            case .success(let reply):
                guard let parts = reply.array, parts.count == 3, case .integer(let time) = parts[2] else { return }
                self?.hub?.receive(serverTime: UInt64(clamping: time), asked: asked)
            case .failure(let error):
                if let error = error as? RedisError { self?.tickFailed(error) }
            }
        }
    }

    private func tickFailed(_ error: RedisError) {
        guard case .refused(let reason) = error else { return }
        if error.endsUse {
            if complaints.isDue("use", now: eventLoop.now) {
                logger.warning("Redis can't do what a node needs; connecting anew", metadata: ["reason": "\(reason)"])
            }
            return signOfLife { [weak self] in self?.commands.reconnect() }
        }
        if complaints.isDue("tick", now: eventLoop.now) {
            logger.error(
                "Redis refuses the node's tick, and perhaps events with a log; plain ones still arrive",
                metadata: ["reason": "\(reason)", "keys": "\(names.clock) \(names.node(nodeID))"])
        }
        signOfLife {}
    }

    /// In place of a tick: a feed that is deaf has to be noticed all the same, and one that works must not be taken for deaf.
    private func signOfLife(then done: @escaping () -> Void) {
        send(["PUBLISH", names.node(nodeID), RedisBroker.signOfLife]).assumeIsolated().whenComplete {
            [weak self] result in
            if case .failure(RedisError.refused) = result { self?.hub?.isAlive() }
            done()
        }
    }

    package func order(_ disconnect: Disconnect) -> EventLoopFuture<Int> {
        publish(ByteBuffer(string: disconnect.json), on: names.control)
    }

    /// - Returns: how many nodes have heard it. Fails with ``PublishFailure``.
    private func publish(_ payload: ByteBuffer, on channel: String) -> EventLoopFuture<Int> {
        var command: RESPCommand = ["PUBLISH", channel]
        command.words.append(payload)
        return send(command).flatMapThrowing { reply in
            guard case .integer(let nodes) = reply else {
                throw PublishFailure.unavailable("Redis sent an unexpected reply")
            }
            return Int(nodes)
        }.flatMapErrorThrowing { error in throw RedisBroker.failure(error) }
    }

    package func refusal(of bytes: Int) -> PublishFailure? {
        commands.refusal(of: bytes).map { .unavailable("\($0)") }
    }

    package func publish(_ publication: Publication) -> EventLoopFuture<Receipt> {
        if !publication.isLogged, publication.once == nil { return publishLive(publication) }
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
            guard let parts = reply.array, parts.count == 2, let id = parts[0].string,
                case .integer(let nodes) = parts[1]
            else { throw PublishFailure.unavailable("Redis sent an unexpected reply") }
            return Receipt(id: EventID(id), nodes: Int(nodes))
        }.flatMapErrorThrowing { error in throw RedisBroker.failure(error) }
    }

    /// What has no log needs no function: it arrives also where Redis is full or can't save, as any program's PUBLISH does.
    private func publishLive(_ publication: Publication) -> EventLoopFuture<Receipt> {
        let envelope = Envelope(type: publication.type, key: publication.key)
        var payload = ByteBuffer()
        envelope.encode(data: publication.data.readableBytesView, into: &payload)
        return publish(payload, on: names.channel(publication.target)).map { Receipt(id: nil, nodes: $0) }
    }

    private static func failure(_ error: any Error) -> PublishFailure {
        switch error {
        case let failure as PublishFailure: return failure
        case RedisError.refused(let message):
            switch RedisRefusal(message) {
            case .function: return .refused(message)
            // To try again later would help nobody before somebody has put Redis right.
            case .wrongtype:
                return .conflict("a key of this event in Redis (its log, its marker, the clock) is of another type")
            case .other where message.contains("XADD"):
                return .conflict("the log in Redis has an entry with a later id, which the clock did not give out")
            // A state of Redis, as LOADING, READONLY, OOM or NOPERM, not a fault of the request.
            default: return .unavailable(message)
            }
        case RedisError.lost(let reason): return .unknown("the connection to Redis was lost: \(reason)")
        default: return .unavailable("\(error)")
        }
    }
}
