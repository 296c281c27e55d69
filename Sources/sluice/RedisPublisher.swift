// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import SluiceCore
import SluiceGateway
import SluiceRedis

/// Publishes through Redis: what any backend does, with or without the function.
struct RedisPublisher: EventPublisher {
    private static let timeout = TimeAmount.seconds(10)

    private let connection: Confined<RedisConnection>
    private let names: RedisNames
    private let isPlain: Bool

    /// Connects, and installs the function that logged events need.
    static func connect(to url: RedisURL, prefix: String, isPlain: Bool) async throws -> RedisPublisher {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let endpoint = try RedisEndpoint(url: url, clientName: "sluice-publish")
        do {
            let connection = try await loop.flatSubmit {
                RedisConnection.connect(to: endpoint, on: loop).assumeIsolated().flatMap { connection in
                    let confined = Confined(connection, on: loop)
                    if isPlain { return loop.makeSucceededFuture(confined) }
                    return RedisPublisher.install(on: connection).map { confined }
                }.nonisolated()
            }.get()
            return RedisPublisher(connection: connection, names: RedisNames(prefix: prefix), isPlain: isPlain)
        } catch {
            throw PublishRefused(description: "can't use Redis at \(url): \(Console.reason(of: error))")
        }
    }

    /// A publisher's user may lack the right to install; the publish itself will say so if the function is not there.
    static func install(on connection: RedisConnection) -> EventLoopFuture<Void> {
        SluiceFunction.install(on: connection, timeout: timeout).flatMapErrorThrowing { error in
            guard case RedisError.refused = error else { throw error }
        }
    }

    func publish(_ events: [OutgoingEvent]) async throws -> [Result<Receipt, any Error>] {
        let commands = events.map(command)
        let loop = connection.eventLoop
        let replies = try await loop.flatSubmit { [connection] in
            let replies = commands.map { connection.value.send($0, timeout: RedisPublisher.timeout) }
            return EventLoopFuture.whenAllComplete(replies, on: loop)
        }.get()
        return replies.map { reply in Result { try receipt(reply.get()) } }
    }

    private func command(_ event: OutgoingEvent) -> RESPCommand {
        let channel = names.channel(event.target)
        if isPlain {
            var command: RESPCommand = ["PUBLISH", channel]
            command.words.append(event.data)
            return command
        }
        var command: RESPCommand = ["FCALL", "sluice_publish", "1", channel]
        command.words.append(event.data)
        func option(_ name: String, _ value: String?) {
            guard let value else { return }
            command.append(name)
            command.append(value)
        }
        option("event", event.type)
        option("key", event.key)
        option("end", event.ends ? "1" : nil)
        option("log", event.isLogged ? nil : "0")
        option("maxlen", event.maxlen.map(String.init))
        option("ttl", event.ttl.map(String.init))
        option("once", event.once)
        return command
    }

    private func receipt(_ reply: RESPValue) throws -> Receipt {
        if case .integer(let nodes) = reply { return Receipt(id: nil, nodes: Int(nodes)) }
        guard let parts = reply.array, parts.count == 2, let id = parts[0].string, case .integer(let nodes) = parts[1]
        else { throw PublishRefused(description: "Redis sent an unexpected reply") }
        return Receipt(id: EventID(id), nodes: Int(nodes))
    }
}
