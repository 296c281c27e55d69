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
    /// `prepare` has the connection.
    private var isGiven = false
    /// Which run of which server the connection leads to, if there is a partner and Redis says it.
    private var runID: String?
    /// Where the server is that the link leads to, or that it is on its way to.
    private var address: RedisAddress?
    /// Counted, because one that was given up may still succeed.
    private var attempts = 0
    private weak var partner: RedisLink?

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
    /// The connection, while the link is up.
    package var current: RedisConnection? { isUp ? connection : nil }

    /// Two links that have to lead to the same server: one that comes to another server sends its partner to look again.
    package func pair(with other: RedisLink) {
        partner = other
        other.partner = self
    }

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

    /// Looks for a server again, after a moment, because the one that is connected is of no use any more.
    package func lookAgain() {
        var generator = SystemRandomNumberGenerator()
        leave(state.lookAgain(now: eventLoop.now, using: &generator))
    }

    /// The server is there now: whatever leads elsewhere is given up.
    package func follow(_ address: RedisAddress) {
        guard let ours = self.address, ours != address else { return }
        self.address = nil
        var generator = SystemRandomNumberGenerator()
        leave(state.moved(now: eventLoop.now, using: &generator))
    }

    private func leave(_ action: LinkState.FailedAction) {
        guard case .wait(let until, _) = action else { return }
        drop()
        wake(at: until)
    }

    private func wake(at time: NIODeadline) {
        eventLoop.assumeIsolated().scheduleTask(deadline: time) { [self] in perform(state.woken(now: eventLoop.now)) }
    }

    private func perform(_ action: LinkState.ConnectAction) {
        guard action == .connect else { return }
        attempts += 1
        let attempt = attempts
        locator.connect(on: eventLoop) { [self] in
            if attempt == attempts { address = $0 }
        }.assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let connection) where attempt == attempts: connected(connection)
            case .success(let connection): connection.close()
            case .failure(let error): if attempt == attempts { failed("\(error)") }
            }
        }
    }

    private func connected(_ connection: RedisConnection) {
        guard state.connected() == .prepare else { return connection.close() }
        self.connection = connection
        connection.onClose = { [self, unowned connection] reason in ended(connection, reason) }
        guard partner != nil else { return identified(connection, nil) }
        connection.runID(timeout: RedisLink.timeout).assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let runID): identified(connection, runID)
            case .failure(let error): ended(connection, "\(error)")
            }
        }
    }

    private func identified(_ connection: RedisConnection, _ runID: String?) {
        guard self.connection === connection, let prepare else { return }
        self.runID = runID
        // The later look-up is the better one.
        if let runID, let other = partner?.runID, other != runID { partner?.lookAgain() }
        isGiven = true
        prepare(connection).assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success: prepared(connection)
            case .failure(let error): ended(connection, "\(error)")
            }
        }
    }

    private func prepared(_ connection: RedisConnection) {
        guard self.connection === connection, state.prepared(now: eventLoop.now) == .use(isReturn: true) else { return }
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
        runID = nil
        connection.onClose = nil
        connection.close()
        guard isGiven else { return }
        isGiven = false
        onLost?()
    }

    private func failed(_ reason: String) {
        var generator = SystemRandomNumberGenerator()
        guard case .wait(let until, let isNews) = state.failed(now: eventLoop.now, using: &generator) else { return }
        if isNews {
            logger.warning(lossNote, metadata: ["redis": "\(locator)", "reason": "\(reason)"])
        }
        wake(at: until)
    }

    // MARK: Commands

    /// What waits for a reply, in bytes of commands.
    package var bytesWaiting: Int { connection?.bytesWaiting ?? 0 }

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
