// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore

/// A connection to Redis that is made anew whenever it is lost: for the feed, or for commands in one pipeline.
///
/// While the link is not up, commands fail at once: whoever sent one is told, nothing is queued. Confined to its event loop.
package final class RedisLink {
    /// What may wait for replies, in bytes of commands.
    private static let bytesWaitingMax = 64 * 1024 * 1024
    private static let timeout = TimeAmount.seconds(5)

    private let locator: RedisLocator
    private let eventLoop: any EventLoop
    private let logger: Logger
    private let lossNote: Logger.Message
    private let returnNote: Logger.Message
    private var prepare: ((RedisConnection) -> EventLoopFuture<Void>)?
    private var onLost: (() -> Void)?
    private var state = LinkState()
    /// Present while the link is being prepared or is up.
    private var connection: RedisConnection?

    /// - Parameters: lossNote, returnNote: what the log says when an outage begins, and when it is over.
    package init(
        to locator: RedisLocator, on eventLoop: any EventLoop, logger: Logger,
        lossNote: Logger.Message = "no connection to Redis", returnNote: Logger.Message = "connected to Redis again"
    ) {
        self.locator = locator
        self.eventLoop = eventLoop
        self.logger = logger
        self.lossNote = lossNote
        self.returnNote = returnNote
    }

    package var isUp: Bool { state.phase == .up }

    /// - Parameters:
    ///   - prepare: makes a new connection ready; the link is up once that succeeds. A failure drops the connection.
    ///   - onLost: a connection that `prepare` was given is gone.
    package func start(
        prepare: @escaping (RedisConnection) -> EventLoopFuture<Void>, onLost: @escaping () -> Void = {}
    ) {
        self.prepare = prepare
        self.onLost = onLost
        perform(state.start())
    }

    package func stop() {
        state.stop()
        drop()
        // They may hold whoever holds this link.
        prepare = nil
        onLost = nil
    }

    /// Looks for a server again, because the one that is connected is of no use any more.
    package func reconnect() {
        let action = state.reconnect()
        if action == .connect { drop() }
        perform(action)
    }

    private func perform(_ action: LinkState.ConnectAction) {
        guard action == .connect else { return }
        locator.connect(on: eventLoop).assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let connection): connected(connection)
            case .failure(let error): failed("\(error)")
            }
        }
    }

    private func connected(_ connection: RedisConnection) {
        guard state.connected() == .prepare, let prepare else { return connection.close() }
        self.connection = connection
        connection.onClose = { [self, unowned connection] reason in ended(connection, reason) }
        prepare(connection).assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success: prepared(connection)
            case .failure(let error): ended(connection, "\(error)")
            }
        }
    }

    private func prepared(_ connection: RedisConnection) {
        guard self.connection === connection, state.prepared() == .use(isReturn: true) else { return }
        logger.notice(returnNote, metadata: ["redis": "\(locator)"])
    }

    private func ended(_ connection: RedisConnection, _ reason: String) {
        // A connection that was dropped has nothing more to say.
        guard self.connection === connection else { return }
        drop()
        failed(reason)
    }

    private func drop() {
        guard let connection else { return }
        self.connection = nil
        connection.onClose = nil
        connection.close()
        onLost?()
    }

    private func failed(_ reason: String) {
        var generator = SystemRandomNumberGenerator()
        guard case .wait(let until, let isOutage) = state.failed(now: eventLoop.now, using: &generator) else { return }
        if isOutage {
            logger.warning(lossNote, metadata: ["redis": "\(locator)", "reason": "\(reason)"])
        }
        eventLoop.assumeIsolated().scheduleTask(deadline: until) { [self] in perform(state.woken(now: eventLoop.now)) }
    }

    // MARK: Commands

    /// Why commands of so many bytes would not be sent now; nil: they would be.
    package func refusal(of bytes: Int) -> RedisError? {
        guard isUp, let connection else { return .unavailable }
        return connection.bytesWaiting + bytes > RedisLink.bytesWaitingMax ? .overloaded : nil
    }

    /// Fails with ``RedisError``.
    package func send(_ command: RESPCommand) -> EventLoopFuture<RESPValue> {
        guard isUp, let connection else { return eventLoop.makeFailedFuture(RedisError.unavailable) }
        guard connection.bytesWaiting < RedisLink.bytesWaitingMax else {
            return eventLoop.makeFailedFuture(RedisError.overloaded)
        }
        return connection.send(command, timeout: RedisLink.timeout)
    }
}

@available(*, unavailable)
extension RedisLink: Sendable {}
