// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// The channels of one partition of a cluster, and whether what is published to them arrives.
///
///     closed ──open──▶ open ──node's channel confirmed──▶ checking ──is master──▶ checked ──all confirmed──▶ up
///
/// each ──close──▶ closed. A master that became a replica says so to whoever is subscribed already, but takes new subscriptions
/// as if nothing were. So only once a channel is confirmed its server is asked whether it is master: if it is, it can't cease
/// to be without a word. What is confirmed before that is told after it. No I/O; time is an argument.
package struct PartitionChannels {
    package enum Phase: Equatable, Sendable {
        /// Its master is not known or not connected, or has sent it away.
        case closed
        case open
        case checking
        case checked
        case up
    }

    /// The one channel that is never released.
    private let anchor: String
    private var subscriptions: Subscriptions
    package private(set) var phase = Phase.closed
    /// Names one opening, so that what still comes of an earlier one is nobody's.
    package private(set) var opening = 0
    /// When commands may be sent again.
    private var resumption = NIODeadline.distantPast
    /// Confirmed before the server was known to be master.
    private var held: [String] = []

    package init(anchor: String, linger: TimeAmount) {
        self.anchor = anchor
        subscriptions = Subscriptions(linger: linger)
        _ = subscriptions.want(anchor)
    }

    package var isOpen: Bool { phase != .closed }
    private var isChecked: Bool { phase == .checked || phase == .up }

    /// - Returns: whether what is published from now on arrives; else it is confirmed later.
    package mutating func want(_ name: String) -> Bool {
        guard subscriptions.want(name) else { return false }
        if !isOpen || isChecked { return true }
        held.append(name)
        return false
    }

    package mutating func release(_ name: String, now: NIODeadline) {
        subscriptions.release(name, now: now)
    }

    package mutating func pause(_ name: String, until time: NIODeadline) {
        subscriptions.pause(name, until: time)
    }

    package mutating func takeGone() -> [String] { subscriptions.takeGone() }

    /// The next command to send to its master.
    package mutating func next(now: NIODeadline) -> Subscriptions.Command? {
        now < resumption ? nil : subscriptions.next(now: now)
    }

    /// There is a connection to its master.
    package mutating func open() {
        opening += 1
        phase = .open
        resumption = .distantPast
        subscriptions.connected()
    }

    /// - Returns: whether it was open.
    package mutating func close() -> Bool {
        guard isOpen else { return false }
        phase = .closed
        held = []
        subscriptions.disconnected()
        return true
    }

    /// A channel was confirmed, as it was asked for.
    ///
    /// - Returns: whether somebody waits to hear of it now.
    package mutating func subscribed(_ name: String, now: NIODeadline) -> Bool {
        let isAwaited = subscriptions.subscribed(name, now: now)
        if name == anchor, phase == .open { phase = .checking }
        guard isAwaited, !isChecked else { return isAwaited }
        held.append(name)
        return false
    }

    /// The end of a channel was confirmed, as it was asked for.
    package mutating func unsubscribed(_ name: String) {
        subscriptions.unsubscribed(name)
    }

    /// The server is master, as was asked after its channel was confirmed.
    ///
    /// - Returns: the channels that are confirmed by that.
    package mutating func isMaster() -> [String] {
        guard phase == .checking else { return [] }
        phase = .checked
        defer { held = [] }
        return held
    }

    /// - Returns: whether it is up now, and was not before.
    package mutating func settle() -> Bool {
        guard phase == .checked, subscriptions.isSettled else { return false }
        phase = .up
        return true
    }

    // MARK: Refusals

    /// Its master can't carry out a command just now: nothing is sent before then.
    package mutating func postponed(until time: NIODeadline, now: NIODeadline) {
        resumption = time
        subscriptions.postponed(now: now)
    }

    /// See ``Subscriptions/refused()``.
    package mutating func refused() -> String? { subscriptions.refused() }
    package var refusedCount: Int { subscriptions.refusedCount }
    package mutating func nextToCheck(max count: Int) -> [String] { subscriptions.nextToCheck(max: count) }
    package mutating func permitted(_ names: [String]) { subscriptions.permitted(names) }
}
