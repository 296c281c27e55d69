// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// The life of a link to Redis: when to connect, how long to wait after a failure, and what is worth a line in the log.
///
///     idle ──▶ connecting ──▶ preparing ──▶ up        each ──▶ stopped
///               ▲      │          │         │
///               │      ▼          ▼         ▼
///               └── waiting ◀─────┴─────────┘
///
/// No I/O; time and chance are arguments.
package struct LinkState {
    package enum Phase: Equatable, Sendable {
        case idle
        /// The server is looked up, connected to and logged in to.
        case connecting
        /// There is a connection, which whoever uses the link makes ready.
        case preparing
        case up
        case waiting(until: NIODeadline)
        case stopped
    }

    package enum ConnectAction: Equatable, Sendable {
        case connect
        case ignore
    }

    package enum ConnectedAction: Equatable, Sendable {
        case prepare
        /// The link was stopped meanwhile.
        case close
    }

    package enum PreparedAction: Equatable, Sendable {
        /// - Parameter isReturn: the log has a line about the outage that is over now.
        case use(isReturn: Bool)
        case ignore
    }

    package enum FailedAction: Equatable, Sendable {
        /// - Parameter isNews: worth a line: an outage begins, or has lasted another minute. Its hundredth attempt is not.
        case wait(until: NIODeadline, isNews: Bool)
        case ignore
    }

    /// A server that is left after less does not make the next wait short, or one that is up and of no use would be
    /// connected to without end.
    private static let proven = TimeAmount.seconds(3)
    private static let newsInterval = TimeAmount.minutes(1)

    package private(set) var phase = Phase.idle
    private var backoff = Backoff()
    private var upSince: NIODeadline?
    /// When the log had its last line about this outage.
    private var lastNews: NIODeadline?

    package init() {}

    package mutating func start() -> ConnectAction {
        guard phase == .idle else { return .ignore }
        phase = .connecting
        return .connect
    }

    /// A wait is over.
    package mutating func woken(now: NIODeadline) -> ConnectAction {
        guard case .waiting(let until) = phase, until <= now else { return .ignore }
        phase = .connecting
        return .connect
    }

    package mutating func connected() -> ConnectedAction {
        guard phase == .connecting else { return .close }
        phase = .preparing
        return .prepare
    }

    package mutating func prepared(now: NIODeadline) -> PreparedAction {
        guard phase == .preparing else { return .ignore }
        phase = .up
        upSince = now
        defer { lastNews = nil }
        return .use(isReturn: lastNews != nil)
    }

    /// There is no connection, it could not be prepared, or it was lost.
    package mutating func failed(
        now: NIODeadline, using generator: inout some RandomNumberGenerator
    ) -> FailedAction {
        switch phase {
        case .idle, .waiting, .stopped: return .ignore
        case .connecting, .preparing, .up: break
        }
        if phase == .up { backoff.reset() }
        let isNews = lastNews.map { now - $0 >= LinkState.newsInterval } ?? true
        if isNews { lastNews = now }
        return .wait(until: wait(now: now, using: &generator), isNews: isNews)
    }

    /// The server that is connected is of no use any more. Not an outage: whoever says so knows why.
    package mutating func lookAgain(
        now: NIODeadline, using generator: inout some RandomNumberGenerator
    ) -> FailedAction {
        guard phase == .up || phase == .preparing else { return .ignore }
        if let upSince, now - upSince >= LinkState.proven { backoff.reset() }
        return .wait(until: wait(now: now, using: &generator), isNews: false)
    }

    /// Another server than the one that was looked for is the right one: whatever is under way leads to the wrong place.
    package mutating func moved(
        now: NIODeadline, using generator: inout some RandomNumberGenerator
    ) -> FailedAction {
        guard phase != .idle, phase != .stopped else { return .ignore }
        backoff.reset()
        return .wait(until: wait(now: now, using: &generator), isNews: false)
    }

    private mutating func wait(
        now: NIODeadline, using generator: inout some RandomNumberGenerator
    ) -> NIODeadline {
        upSince = nil
        let until = now + backoff.next(using: &generator)
        phase = .waiting(until: until)
        return until
    }

    package mutating func stop() {
        phase = .stopped
    }
}
