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
        /// - Parameter isOutage: an outage begins, which is worth a line. Its hundredth attempt is not.
        case wait(until: NIODeadline, isOutage: Bool)
        case ignore
    }

    package private(set) var phase = Phase.idle
    private var backoff = Backoff()
    private var isOutage = false

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

    /// The server is of no use any more, although it is connected. Not an outage: whoever says so knows why.
    package mutating func reconnect() -> ConnectAction {
        guard phase == .up else { return .ignore }
        phase = .connecting
        return .connect
    }

    package mutating func connected() -> ConnectedAction {
        guard phase == .connecting else { return .close }
        phase = .preparing
        return .prepare
    }

    package mutating func prepared() -> PreparedAction {
        guard phase == .preparing else { return .ignore }
        phase = .up
        backoff.reset()
        defer { isOutage = false }
        return .use(isReturn: isOutage)
    }

    /// There is no connection, it could not be prepared, or it was lost.
    package mutating func failed(
        now: NIODeadline, using generator: inout some RandomNumberGenerator
    ) -> FailedAction {
        switch phase {
        case .idle, .waiting, .stopped: return .ignore
        case .connecting, .preparing, .up: break
        }
        let until = now + backoff.next(using: &generator)
        phase = .waiting(until: until)
        defer { isOutage = true }
        return .wait(until: until, isOutage: !isOutage)
    }

    package mutating func stop() {
        phase = .stopped
    }
}
