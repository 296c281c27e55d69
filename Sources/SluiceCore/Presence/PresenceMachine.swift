// SPDX-License-Identifier: Apache-2.0
import DequeModule
import NIOCore

/// Tells the broker which clients this node has streams of: changes only, one command at a time.
///
/// A client has left when it had no stream here for a while. The broker puts the nodes together, in one atomic step for each
/// command: who is the first node of a client, and who the last. It also remembers what each node has told it last (a state).
/// If that is another than the node thinks, then the data set went back, a reply was lost, or the node was taken for dead: it
/// joins anew, tells all of its clients, and sweeps away what is listed beside them. The period of a client, which is part of
/// the id of both of its events, is remembered here, so that what is told again has the same id.
///
/// No I/O; time is an argument.
package struct PresenceMachine {
    package struct Limits: Sendable {
        /// How long a client may be without a stream.
        package var linger = TimeAmount.seconds(5)
        /// How often the node says that it lives.
        package var beat = TimeAmount.seconds(3)
        /// A node that has said nothing for so long is dead to the others.
        package var lease = TimeAmount.milliseconds(9600)
        package var changesPerCall = 200
        package var retry = TimeAmount.seconds(1)
        /// For how long it is remembered who has left: a data set that goes back further is none that a replica had.
        package var memory = TimeAmount.seconds(60)

        package init() {}
    }

    private struct Entry {
        /// Of this node's shards, those that have streams of it.
        var shards = 0
        /// When it will have left; nil: it has streams.
        var leaves: NIODeadline?
        var period: String?
        /// The broker has said that it is in this period.
        var isConfirmed = false
        /// It is listed at this node.
        var isTold = false
        /// It was said that it has left, and not answered yet, or never.
        var hasSaidGoodbye = false
        /// A goodbye before the last one was not answered either, so that one may have been carried out.
        var saysGoodbyeAgain = false
        /// Earlier periods whose end was forgotten; those come first.
        var ended: [Ending] = []
        var isQueued = false

        /// Nothing was said of it.
        var isUnheard: Bool { period == nil && !isTold && !hasSaidGoodbye && ended.isEmpty }

        func hasLeft(_ now: NIODeadline) -> Bool { leaves.map { $0 <= now } ?? false }

        mutating func leavesPeriod() {
            period = nil
            isConfirmed = false
        }
    }

    /// A period that has ended, perhaps because a node was dead.
    private struct Ending: Equatable {
        let period: String
        let dead: String?
    }

    /// A client that has left, and the number of the call that said so.
    private struct Former {
        let client: Target
        let ending: Ending
        let number: UInt64
        let time: NIODeadline
    }

    private let limits: Limits
    private let node: String
    /// Of this process, in milliseconds since 1970, and by the loop.
    private let started: (milliseconds: UInt64, time: NIODeadline)
    private var entries: [Target: Entry] = [:]
    /// In the order of their times.
    private var leaving: Deque<(client: Target, time: NIODeadline)> = []
    private var queue: Deque<Target> = []
    /// Nobody is said to have left before that: after a failover the other nodes have to tell again who is with them.
    private var holdsUntil: NIODeadline
    private var held: [Target] = []
    private var former: Deque<Former> = []
    private var periods: UInt64 = 0
    private var number: UInt64 = 0
    private var isJoined = false
    /// The number of the first call to join since anything was answered. It or a later one may have been carried out.
    private var unansweredJoin: UInt64?
    private var hasJoinedBefore = false
    private var call: PresenceCall?
    private var nextBeat: NIODeadline
    private var retryAt: NIODeadline
    private var joinedAt: NIODeadline
    private var lastTold: NIODeadline
    private var sweepCursor: String?
    private var cleaning: Deque<(node: String, cursor: String)> = []
    private var hasToldLast = false

    /// - Parameter started: this process, in milliseconds since 1970: two of one node have different ones.
    package init(node: String, started: UInt64, limits: Limits = Limits(), now: NIODeadline) {
        self.limits = limits
        self.node = node
        self.started = (started, now)
        nextBeat = now
        retryAt = now
        joinedAt = now
        holdsUntil = now
        lastTold = now
    }

    /// Clients that are remembered.
    package var size: Int { entries.count }

    // MARK: What shards say

    /// A shard has its first stream of a client.
    package mutating func arrived(_ client: Target) {
        entries[client, default: Entry()].shards += 1
        entries[client]?.leaves = nil
        if entries[client]?.isTold == false { enqueue(client) }
    }

    /// A shard has no stream of a client any more.
    package mutating func left(_ client: Target, now: NIODeadline) {
        guard let shards = entries[client]?.shards, shards > 0 else { return }
        entries[client]?.shards = shards - 1
        if shards == 1 { leave(client, at: now + limits.linger) }
    }

    private mutating func leave(_ client: Target, at time: NIODeadline) {
        entries[client]?.leaves = time
        leaving.append((client, time))
    }

    /// Does nothing while the node has not joined: joining queues every client anyway.
    private mutating func enqueue(_ client: Target) {
        guard isJoined, entries[client]?.isQueued == false else { return }
        entries[client]?.isQueued = true
        queue.append(client)
    }

    // MARK: What is to be said

    /// The next command; nil: none now. The reply, or its failure, has to come before the next one.
    package mutating func next(now: NIODeadline) -> PresenceCall? {
        guard call == nil else { return nil }
        while let first = leaving.first, first.time <= now {
            leaving.removeFirst()
            guard let entry = entries[first.client], entry.leaves == first.time else { continue }
            // While Redis is away nobody is kept who has come and gone.
            if entry.isUnheard, !isJoined { entries[first.client] = nil } else { enqueue(first.client) }
        }
        if !held.isEmpty, now >= holdsUntil {
            for client in held { enqueue(client) }
            held = []
        }
        while let first = former.first, first.time + limits.memory < now { former.removeFirst() }
        guard isJoined else {
            if now >= retryAt { call = .tell(state: nil, newState: state(number + 1), []) }
            return call
        }
        // A failover may have lost that a dead node's clients have come to others, who say so again first: who is taken off
        // before would be gone for good to whoever drops repeated events.
        let dead = now < holdsUntil ? nil : cleaning.first
        // Neither the living nor the dead have to wait for the others.
        if hasToldLast, let first = dead {
            hasToldLast = false
            call = .clean(node: first.node, cursor: first.cursor)
            return call
        }
        hasToldLast = true
        let changes = takeChanges(now: now)
        if !changes.isEmpty || now >= nextBeat {
            nextBeat = now + limits.beat
            call = .tell(state: state(number), newState: state(number + 1), changes)
        } else if let first = dead {
            call = .clean(node: first.node, cursor: first.cursor)
        } else if let sweepCursor {
            call = .sweep(cursor: sweepCursor)
        }
        return call
    }

    /// What this process says of itself begins so.
    private var name: String { "\(node)-\(started.milliseconds)" }

    private func state(_ number: UInt64) -> String { "\(name)-\(number)" }

    private mutating func takeChanges(now: NIODeadline) -> [PresenceCall.Change] {
        var changes: [PresenceCall.Change] = []
        while changes.count < limits.changesPerCall, let client = queue.popFirst() {
            guard var entry = entries[client] else { continue }
            entry.isQueued = false
            guard let kind = kind(of: &entry, now: now) else {
                entries[client] = entry.isTold ? entry : nil
                continue
            }
            changes.append(.init(client, kind, isCareful: kind.isDeparture && now < holdsUntil))
            entries[client] = entry
        }
        return changes
    }

    /// What is to be said of a client; nil: nothing.
    private mutating func kind(of entry: inout Entry, now: NIODeadline) -> PresenceCall.Change.Kind? {
        if let ended = entry.ended.first { return .ended(period: ended.period, dead: ended.dead) }
        if entry.hasSaidGoodbye || (entry.isTold && entry.hasLeft(now)) {
            entry.saysGoodbyeAgain = entry.hasSaidGoodbye
            entry.hasSaidGoodbye = true
            return .left(period: entry.period)
        }
        if entry.isTold { return nil }
        // Who has left meanwhile is said to have been there before that is said: others may be in the same period.
        if entry.isConfirmed, let period = entry.period { return .stays(period: period) }
        return entry.hasLeft(now) ? nil : .came(period: period(of: &entry, now: now))
    }

    /// Its name says when it began: of two periods of a client, of which one was forgotten, the later one counts.
    private mutating func period(of entry: inout Entry, now: NIODeadline) -> String {
        if let period = entry.period { return period }
        periods += 1
        let elapsed = UInt64(max(0, (now - started.time).nanoseconds / 1_000_000))
        let period = "\(node)-\(started.milliseconds + elapsed)-\(periods)"
        entry.period = period
        return period
    }

    // MARK: What comes back

    package mutating func received(_ reply: PresenceReply, now: NIODeadline) {
        let asked = call
        call = nil
        switch (asked, reply) {
        case (.tell(_?, _, let changes), .told(let dead, let periods)) where periods.count == changes.count:
            number += 1
            lastTold = now
            for (change, period) in zip(changes, periods) { told(change, period, now: now) }
            clean(dead)
        case (.tell(nil, _, _), .joined(let dead, let state)):
            joined(state, now: now)
            clean(dead)
        case (.tell, .lost):
            mustJoin()
            // A second process of the same name is answered so, too: both would join as fast as they can, for ever.
            retryAt = joinedAt + limits.retry
        case (.sweep, .swept(let cursor, let clients)):
            sweepCursor = cursor == "0" ? nil : cursor
            for client in clients { found(client, now: now) }
            if sweepCursor == nil { hasJoinedBefore = true }
        case (.clean, .cleaned(let cursor, let ended)):
            // If Redis forgets these ends, nobody else could tell them again.
            guard let first = cleaning.popFirst() else { break }
            for period in ended { remember(period.client, period.name, dead: first.node, now: now) }
            if cursor != "0" { cleaning.append((first.node, cursor)) }
        default:
            // It may have been carried out all the same.
            call = asked
            failed(now: now)
        }
    }

    /// Whether it was carried out is not known.
    package mutating func failed(now: NIODeadline) {
        // Its state may have been left there, and must not be taken for that of another call.
        if case .tell(let state, _, _)? = call {
            number += 1
            if state == nil, unansweredJoin == nil { unansweredJoin = number }
        }
        call = nil
        mustJoin()
        cleaning = []
        retryAt = now + limits.retry
    }

    private mutating func mustJoin() {
        isJoined = false
        for client in queue { entries[client]?.isQueued = false }
        queue = []
    }

    /// The broker is back. It may have lost what other nodes have told, even if it knows all that this one has.
    package mutating func mayRetry(now: NIODeadline) {
        retryAt = now
        holdsUntil = max(holdsUntil, now + limits.linger)
    }

    /// - Parameter period: which the client is in now, or which has ended; empty: other nodes have it still; or
    ///   ``PresenceReply/notDone``: others have to say first who is with them.
    private mutating func told(_ change: PresenceCall.Change, _ period: String, now: NIODeadline) {
        guard var entry = entries[change.client] else { return }
        if period == PresenceReply.notDone {
            if case .left = change.kind, !entry.saysGoodbyeAgain { entry.hasSaidGoodbye = false }
            entries[change.client] = entry
            return held.append(change.client)
        }
        switch change.kind {
        case .came, .stays:
            entry.isTold = true
            entry.isConfirmed = true
            entry.period = period
        case .left:
            remember(change.client, period, now: now)
            entry.isTold = false
            entry.hasSaidGoodbye = false
            entry.leavesPeriod()
        case .ended(let told, let dead):
            remember(change.client, period, dead: dead, now: now)
            entry.ended.removeAll { $0.period == told }
        }
        entries[change.client] = entry
        // It may have come back or left meanwhile, or there is nothing more to be said of it.
        if !entry.isTold || entry.hasLeft(now) { enqueue(change.client) }
    }

    private mutating func remember(_ client: Target, _ period: String, dead: String? = nil, now: NIODeadline) {
        guard !period.isEmpty else { return }
        let ending = Ending(period: period, dead: dead)
        former.append(Former(client: client, ending: ending, number: number, time: now))
    }

    private mutating func joined(_ state: String, now: NIODeadline) {
        isJoined = true
        joinedAt = now
        number += 1
        nextBeat = now + limits.beat
        sweepCursor = "0"
        held = []
        holdsUntil = now + limits.linger
        // Others may have begun and ended periods of the same clients meanwhile.
        let isLate = state.isEmpty && now > lastTold + limits.lease
        lastTold = now
        // Of what was told by this process; 0: nothing of it is known.
        var known = state.hasPrefix(name + "-") ? UInt64(state.dropFirst(name.utf8.count + 1)) ?? 0 : 0
        let wasDead = state == "gone" || state == "done"
        // The answer that was lost may have said that Redis went back, or that the node was taken for dead: assume both.
        let isUnclear = unansweredJoin.map { known >= $0 } ?? false
        if isUnclear { known = 0 }
        unansweredJoin = nil
        // In an order that a test can have again.
        for client in entries.keys.sorted(by: { $0.description < $1.description }) {
            tellAgain(client, wasDead: wasDead, isUnclear: isUnclear, isLate: isLate, now: now)
        }
        // That a period has ended is told again if it was forgotten: before another one begins.
        for former in former where former.number > known {
            entries[former.client, default: Entry(leaves: now)].ended.append(former.ending)
            enqueue(former.client)
        }
        former.removeAll { $0.number > known }
    }

    private mutating func tellAgain(_ client: Target, wasDead: Bool, isUnclear: Bool, isLate: Bool, now: NIODeadline) {
        guard var entry = entries[client] else { return }
        entry.isTold = false
        if wasDead || isUnclear {
            // Whoever took this node for dead has ended the period, or will find the client listed no more.
            entry.leavesPeriod()
            entry.hasSaidGoodbye = false
        }
        // It was told as one that has left, and does not come back for a moment.
        if wasDead, entry.leaves != nil { entry.leaves = now }
        let hasLeft = entry.hasLeft(now)
        if isLate, !hasLeft { entry.leavesPeriod() }
        entries[client] = entry
        // Another node may still have it, and may not have said so again yet.
        if hasLeft, entry.isConfirmed, !entry.hasSaidGoodbye { leave(client, at: now + limits.linger) }
        enqueue(client)
    }

    /// A client is listed here. What an earlier process of this node has left behind may still come back.
    private mutating func found(_ client: Target, now: NIODeadline) {
        if let entry = entries[client] {
            guard !entry.isTold, !entry.isConfirmed, entry.hasLeft(now) else { return }
            entries[client]?.isTold = true
        } else {
            entries[client] = Entry(leaves: now, isTold: true)
            if !hasJoinedBefore { return leave(client, at: now + limits.linger) }
        }
        enqueue(client)
    }

    private mutating func clean(_ nodes: [String]) {
        for node in nodes where !cleaning.contains(where: { $0.node == node }) { cleaning.append((node, "0")) }
    }
}
