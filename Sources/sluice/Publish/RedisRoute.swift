// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import SluiceRedis

/// Publishes through Redis: `FCALL sluice_publish`, or a bare `PUBLISH`. Connects anew when the connection was lost.
actor RedisRoute: PublishRoute {
    private static let timeout = TimeAmount.seconds(10)
    /// What Redis says of a command that it may take later, or that another server takes.
    private static let passing = [
        "LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "OOM", "MISCONF", "BUSY", "NOREPLICAS",
        "ERR Function not found", "ERR max number of clients",
    ]

    private let dialer: RedisDialer
    private let eventLoop: any EventLoop
    private let channel: String
    private let plan: PublishPlan
    private let isPlain: Bool
    private var connection: NIOLoopBound<RedisConnection>?

    init(_ endpoint: RedisEndpoint, prefix: String, plan: PublishPlan, isPlain: Bool, on eventLoop: any EventLoop) {
        dialer = RedisDialer(locator: .fixed(endpoint))
        channel = RedisNames(prefix: prefix).channel(plan.target)
        self.eventLoop = eventLoop
        self.plan = plan
        self.isPlain = isPlain
    }

    /// Connects, and installs the function where it is missing.
    ///
    /// - Throws: ``Failure``.
    func connect() async throws {
        connection = try await dialer.connect(on: eventLoop, installingFunction: !isPlain)
    }

    func publish(_ events: [OutgoingEvent]) async -> [PublishResult] {
        do {
            if connection == nil { try await connect() }
        } catch {
            let failure = error as? Failure ?? Failure("\(error)")
            return events.map { _ in .later(failure, after: nil) }
        }
        guard let connection else { return [] }
        let commands = events.map(command)
        let replies = eventLoop.flatSubmit { [eventLoop] in
            let replies = commands.map { connection.value.send($0, timeout: RedisRoute.timeout) }
            return EventLoopFuture.whenAllComplete(replies, on: eventLoop)
        }
        let results = ((try? await replies.get()) ?? []).map(RedisRoute.result)
        let isOver = results.contains { result in
            switch result {
            case .later, .unknown: true
            case .published, .refused: false
            }
        }
        // Redis may have become another: the next try looks for it, and for the function in it.
        if isOver { await close() }
        return results
    }

    private func command(_ event: OutgoingEvent) -> RESPCommand {
        if isPlain {
            return RESPCommand(words: [ByteBuffer(string: "PUBLISH"), ByteBuffer(string: channel), event.data])
        }
        var command: RESPCommand = ["FCALL", "sluice_publish", "1", channel]
        command.words.append(event.data)
        func option(_ name: String, _ value: String?) {
            guard let value else { return }
            command.append(name)
            command.append(value)
        }
        option("event", plan.type)
        option("key", plan.key)
        option("end", event.ends ? "1" : nil)
        option("log", plan.isLogged ? nil : "0")
        option("maxlen", plan.maxlen.map { String($0) })
        option("ttl", plan.ttlSeconds.map { String($0) })
        option("once", event.once)
        return command
    }

    private static func result(_ reply: Result<RESPValue, any Error>) -> PublishResult {
        switch reply {
        case .success(.integer(let nodes)): return .published(Receipt(id: nil, nodes: Int(nodes)))
        case .success(.array(let values)):
            guard values.count == 2, let id = values[0].string, case .integer(let nodes) = values[1] else { break }
            return .published(Receipt(id: EventID(id), nodes: Int(nodes)))
        case .failure(let error): return failure(error)
        default: break
        }
        return .refused(Failure("Redis gave an answer that is not known"))
    }

    private static func failure(_ error: any Error) -> PublishResult {
        let failure = Failure("\(error)")
        switch error {
        case RedisError.lost: return .unknown(failure)
        case RedisError.refused(let message):
            return passing.contains { message.hasPrefix($0) } ? .later(failure, after: nil) : .refused(failure)
        default: return .later(failure, after: nil)
        }
    }

    func close() async {
        let connection = connection
        self.connection = nil
        try? await eventLoop.submit { connection?.value.close() }.get()
    }
}
