// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import SluiceRedis

/// Publishes through Redis: `FCALL sluice_publish`, or a bare `PUBLISH`. Connects anew when the connection was lost.
actor RedisRoute: PublishRoute {
    private static let timeout = TimeAmount.seconds(10)
    /// In milliseconds.
    private static let replicasLimit = 1000
    /// What Redis says of a command that it may take later, or that another server takes.
    private static let passing = [
        "LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK", "OOM", "MISCONF", "BUSY",
        "NOREPLICAS",
        "ERR Function not found", "ERR max number of clients",
    ]

    private let locator: RedisLocator
    private let eventLoop: any EventLoop
    private let names: RedisNames
    private let isPlain: Bool
    private var lastAsked = ContinuousClock.now
    private static let askInterval = Duration.seconds(2)

    private var connection: Task<Result<NIOLoopBound<RedisConnection>, ClientError>, Never>?

    /// - Parameter eventLoop: the locator's.
    init(_ locator: RedisLocator, names: RedisNames, isPlain: Bool, on eventLoop: any EventLoop) {
        self.locator = locator
        self.names = names
        self.eventLoop = eventLoop
        self.isPlain = isPlain
    }

    /// Connects, and installs the function where it is missing.
    func connect() async throws(ClientError) {
        _ = try await usableConnection()
    }

    /// All who publish at a time share a connection.
    private func usableConnection() async throws(ClientError) -> NIOLoopBound<RedisConnection> {
        let connecting =
            connection
            ?? Task { [locator, eventLoop, isPlain] in
                do throws(ClientError) {
                    return .success(try await locator.connect(on: eventLoop, installingFunction: !isPlain))
                } catch { return .failure(error) }
            }
        connection = connecting
        let result = await connecting.value
        if case .failure = result, connection == connecting { connection = nil }
        return try result.get()
    }

    /// A server that was replaced may live on, and take what it is sent: whether it is still the master has to be asked.
    private func leaveFormerMaster() async {
        guard connection != nil, ContinuousClock.now - lastAsked > RedisRoute.askInterval else { return }
        lastAsked = .now
        let master = eventLoop.flatSubmit { [locator, eventLoop] in
            locator.master() ?? eventLoop.makeFailedFuture(RedisError.unavailable)
        }
        guard let master = try? await master.get(), case .success(let open)? = await connection?.value else { return }
        if (try? await eventLoop.submit { open.value.address != master }.get()) == true { await close() }
    }

    func publish(_ publications: [Publication]) async -> [Result<Receipt, ClientError>] {
        await leaveFormerMaster()
        let connection: NIOLoopBound<RedisConnection>
        do throws(ClientError) { connection = try await usableConnection() } catch {
            return publications.map { _ in .failure(ClientError(error.description, .later(after: nil))) }
        }
        let commands = publications.map { publication in
            isPlain
                ? .publish(publication.event.data, on: names.channel(publication.target))
                : SluiceFunction.publish(publication, names: names)
        }
        let replies = eventLoop.flatSubmit { [eventLoop] in
            let replies = commands.map { connection.value.send($0, timeout: RedisRoute.timeout) }
            return EventLoopFuture.whenAllComplete(replies, on: eventLoop)
        }
        var results = ((try? await replies.get()) ?? []).map(RedisRoute.result)
        if let wanted = publications.compactMap(\.replicas).max() {
            let reply = eventLoop.flatSubmit {
                connection.value.send(RedisRoute.wait(for: wanted), timeout: RedisRoute.timeout)
            }
            let count = RedisRoute.replicas(try? await reply.get())
            results = zip(publications, results).map { publication, result in
                guard publication.replicas != nil else { return result }
                return result.map { Receipt(id: $0.id, nodes: $0.nodes, replicas: count) }
            }
        }
        let isOver = results.contains { if case .failure(let error) = $0 { error.kind != .refused } else { false } }
        // Redis may have become another: the next try looks for it, and for the function in it.
        if isOver { await close() }
        return results
    }

    static func result(_ reply: Result<RESPValue, any Error>) -> Result<Receipt, ClientError> {
        switch reply {
        case .success(let reply):
            Receipt(reply: reply).map { .success($0) }
                ?? .failure(ClientError("Redis gave an answer that is not known"))
        case .failure(let error): .failure(ClientError("\(error)", kind(error)))
        }
    }

    /// Waits until so many replicas have what the connection has published, a second at most.
    static func wait(for replicas: Int) -> RESPCommand { ["WAIT", "\(replicas)", "\(replicasLimit)"] }

    /// How many are known to have it.
    static func replicas(_ reply: RESPValue?) -> Int {
        if case .integer(let count)? = reply { Int(clamping: count) } else { 0 }
    }

    private static func kind(_ error: any Error) -> ClientError.Kind {
        switch error {
        case RedisError.lost: .unknown
        case RedisError.refused(let message) where !passing.contains(where: message.hasPrefix): .refused
        default: .later(after: nil)
        }
    }

    func close() async {
        let before = connection
        connection = nil
        guard case .success(let open)? = await before?.value else { return }
        try? await eventLoop.submit { open.value.close() }.get()
    }
}
