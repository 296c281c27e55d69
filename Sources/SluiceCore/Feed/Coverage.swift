// SPDX-License-Identifier: Apache-2.0

/// Whether this node hears a target, and since when.
///
///     unknown ──the broker confirms──▶ confirmed ──a reading comes through the feed──▶ since(reading)
///
/// The feed's machine alone takes these steps, and tells the shards, which keep a copy. Three rules make the copies agree
/// with it:
///
/// * What arrived before a confirmation goes to the shards before they hear of the confirmation. So the place in a ring
///   at which a stream begins has only later events behind it.
/// * A shard hears of a reading after all events that came before it, and of the targets that the reading covers after
///   the reading itself. So no shard believes in a `since` that is later than its own clock.
/// * A target that is wanted again while the broker gives it up begins anew, with `unknown`: what is published in between
///   does not arrive.
package enum Coverage: Equatable, Sendable {
    /// Nothing is known to arrive.
    case unknown
    /// What is published from now on arrives.
    case confirmed
    /// Every event with a later id has arrived, or will; or a gap tells that it is lost.
    case since(EventID)

    package var isConfirmed: Bool { self != .unknown }

    package var since: EventID? {
        guard case .since(let id) = self else { return nil }
        return id
    }

    package mutating func confirm() {
        if self == .unknown { self = .confirmed }
    }

    /// A reading of the clock has come through the feed: every earlier event of a confirmed target came before it.
    ///
    /// - Returns: whether that is new.
    package mutating func settle(at reading: EventID) -> Bool {
        guard self == .confirmed else { return false }
        self = .since(reading)
        return true
    }

    /// What was published up to here is lost, and that was told: who comes later has to read the log to learn it.
    package mutating func lose(upTo id: EventID) {
        if case .since(let since) = self { self = .since(max(since, id)) }
    }

    /// The connection is lost. What a covered target lacks, the repair brings; one that was only confirmed has no
    /// place from which it could be repaired.
    package mutating func interrupt() {
        if self == .confirmed { self = .unknown }
    }
}
