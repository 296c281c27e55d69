// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore

/// The command connection: one pipeline to Redis, made anew whenever it is lost.
///
/// While there is none, commands fail at once: whoever sent one is told, nothing is queued. Confined to its event loop.
package final class RedisCommands {
    /// What may wait for replies, in bytes of commands.
    private static let bytesWaitingMax = 64 * 1024 * 1024

    private let endpoint: RedisEndpoint
    private let eventLoop: any EventLoop
    private let logger: Logger
    private let timeout: TimeAmount
    private var connection: RedisConnection?
    private var backoff = Backoff()
    private var isStopped = false
    /// The first failure of an outage is worth a line, the hundredth is not.
    private var hasComplained = false

    /// Prepares a connection before anyone else uses it; a failure drops it.
    private let prepare: (RedisConnection) -> EventLoopFuture<Void>

    package init(
        endpoint: RedisEndpoint, eventLoop: any EventLoop, logger: Logger, timeout: TimeAmount = .seconds(5),
        prepare: @escaping (RedisConnection) -> EventLoopFuture<Void>
    ) {
        self.endpoint = endpoint
        self.eventLoop = eventLoop
        self.logger = logger
        self.timeout = timeout
        self.prepare = prepare
    }

    package var isConnected: Bool { connection != nil }

    package func start() {
        guard !isStopped else { return }
        RedisConnection.connect(to: endpoint, on: eventLoop).assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let connection): ready(connection)
            case .failure(let error): retry(after: "\(error)")
            }
        }
    }

    private func ready(_ connection: RedisConnection) {
        prepare(connection).assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success: connected(connection)
            case .failure(let error):
                connection.close()
                retry(after: "\(error)")
            }
        }
    }

    package func stop() {
        isStopped = true
        connection?.close()
    }

    /// Replaces a connection that is of no use any more. Not an outage: whoever calls knows why, and says so.
    package func reconnect() {
        guard let connection else { return }
        self.connection = nil
        connection.onClose = nil
        connection.close()
        start()
    }

    private func connected(_ connection: RedisConnection) {
        guard !isStopped else { return connection.close() }
        if hasComplained { logger.notice("connected to Redis again", metadata: ["redis": "\(endpoint.url)"]) }
        hasComplained = false
        backoff.reset()
        self.connection = connection
        connection.onClose = { [self] reason in
            self.connection = nil
            retry(after: reason)
        }
    }

    private func retry(after reason: String) {
        guard !isStopped else { return }
        if !hasComplained {
            logger.warning("no connection to Redis", metadata: ["redis": "\(endpoint.url)", "reason": "\(reason)"])
            hasComplained = true
        }
        var generator = SystemRandomNumberGenerator()
        eventLoop.assumeIsolated().scheduleTask(in: backoff.next(using: &generator)) { [self] in start() }
    }

    /// Why commands of so many bytes would not be sent now; nil: they would be.
    package func refusal(of bytes: Int) -> RedisError? {
        guard let connection else { return .unavailable }
        return connection.bytesWaiting + bytes > RedisCommands.bytesWaitingMax ? .overloaded : nil
    }

    /// Fails with ``RedisError``.
    package func send(_ command: RESPCommand) -> EventLoopFuture<RESPValue> {
        guard let connection else { return eventLoop.makeFailedFuture(RedisError.unavailable) }
        guard connection.bytesWaiting < RedisCommands.bytesWaitingMax else {
            return eventLoop.makeFailedFuture(RedisError.overloaded)
        }
        return connection.send(command, timeout: timeout)
    }
}

@available(*, unavailable)
extension RedisCommands: Sendable {}
