// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import SluiceRedis

/// Publishes through Redis: `FCALL sluice_publish`, or a bare `PUBLISH`.
struct RedisRoute: PublishRoute {
    private static let timeout = TimeAmount.seconds(10)

    private let eventLoop: any EventLoop
    private let connection: NIOLoopBound<RedisConnection>
    private let channel: String
    private let plan: PublishPlan
    private let isPlain: Bool

    /// Connects, and installs the function where it is missing.
    ///
    /// - Throws: ``Failure``.
    static func connect(
        to endpoint: RedisEndpoint, prefix: String, plan: PublishPlan, isPlain: Bool, on eventLoop: any EventLoop
    ) async throws -> RedisRoute {
        let connection = try await RedisDialer(endpoint: endpoint).connect(on: eventLoop, installingFunction: !isPlain)
        return RedisRoute(
            eventLoop: eventLoop, connection: connection, channel: RedisNames(prefix: prefix).channel(plan.target),
            plan: plan, isPlain: isPlain)
    }

    func publish(_ events: [OutgoingEvent]) async -> [Result<Receipt, Failure>] {
        let commands = events.map(command)
        let replies = eventLoop.flatSubmit { [connection, eventLoop] in
            let replies = commands.map { connection.value.send($0, timeout: RedisRoute.timeout) }
            return EventLoopFuture.whenAllComplete(replies, on: eventLoop)
        }
        do {
            return try await replies.get().map(receipt)
        } catch {
            return [.failure(Failure("\(error)"))]
        }
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

    private func receipt(_ reply: Result<RESPValue, any Error>) -> Result<Receipt, Failure> {
        switch reply {
        case .success(.integer(let nodes)): return .success(Receipt(id: nil, nodes: Int(nodes)))
        case .success(.array(let values)):
            guard values.count == 2, let id = values[0].string, case .integer(let nodes) = values[1] else { break }
            return .success(Receipt(id: EventID(id), nodes: Int(nodes)))
        case .failure(let error): return .failure(Failure("\(error)"))
        default: break
        }
        return .failure(Failure("Redis gave an answer that is not known"))
    }

    func close() async {
        try? await eventLoop.submit { [connection] in connection.value.close() }.get()
    }
}
