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
    private let names: RedisNames
    private let isPlain: Bool
    private var connection: NIOLoopBound<RedisConnection>?

    init(_ endpoint: RedisEndpoint, names: RedisNames, isPlain: Bool, on eventLoop: any EventLoop) {
        dialer = RedisDialer(locator: .fixed(endpoint))
        self.names = names
        self.eventLoop = eventLoop
        self.isPlain = isPlain
    }

    /// Connects, and installs the function where it is missing.
    ///
    /// - Throws: ``Failure``.
    func connect() async throws {
        connection = try await dialer.connect(on: eventLoop, installingFunction: !isPlain)
    }

    func publish(_ publications: [Publication]) async -> [PublishResult] {
        do {
            if connection == nil { try await connect() }
        } catch {
            let failure = error as? Failure ?? Failure("\(error)")
            return publications.map { _ in .later(failure, after: nil) }
        }
        guard let connection else { return [] }
        let commands = publications.map { publication in
            isPlain
                ? .publish(publication.event.data, on: names.channel(publication.target))
                : SluiceFunction.publish(publication, names: names)
        }
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

    private static func result(_ reply: Result<RESPValue, any Error>) -> PublishResult {
        switch reply {
        case .success(let reply):
            Receipt(reply: reply).map { .published($0) } ?? .refused(Failure("Redis gave an answer that is not known"))
        case .failure(let error): failure(error)
        }
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
