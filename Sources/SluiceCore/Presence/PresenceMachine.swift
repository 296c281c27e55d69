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
        package var lease = TimeAmount.seconds(10)
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
        /// It is listed at this node.
        var isTold = false
        /// It was said that it has left, and not answered yet, or never.
        var hasSaidGoodbye = false
        /// An earlier period whose end was forgotten; that comes first.
        var ended: String?
        var isQueued = false
    }

    /// A client that has left, and the number of the call that said so.
    private struct Former {
        let client: Target
        let period: String
        let number: UInt64
        let time: NIODeadline
    }

    private let limits: Limits
    /// Of this process; begins each period and each state.
    private let name: String
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
    private var hasJoinedBefore = false
    private var call: PresenceCall?
    private var nextBeat: NIODeadline
    private var retryAt: NIODeadline
    private var lastTold: NIODeadline
    private var sweepCursor: String?
    private var cleaning: Deque<(node: String, cursor: String)> = []
    private var hasToldLast = false

    /// - Parameter started: this process, in milliseconds since 1970: two of one node have different ones.
    package init(node: String, started: UInt64, limits: Limits = Limits(), now: NIODeadline) {
        self.limits = limits
        name = "\(node)-\(started)"
        nextBeat = now
        retryAt = now
        holdsUntil = now
        lastTold = now
    }

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

    private mutating func enqueue(_ client: Target) {
        guard entries[client]?.isQueued == false else { return }
        entries[client]?.isQueued = true
        queue.append(client)
    }

    // MARK: What is to be said

    /// The next command; nil: none now. The reply, or its failure, has to come before the next one.
    package mutating func next(now: NIODeadline) -> PresenceCall? {
        guard call == nil else { return nil }
        while let first = leaving.first, first.time <= now {
            leaving.removeFirst()
            if entries[first.client]?.leaves == first.time { enqueue(first.client) }
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

    private func state(_ number: UInt64) -> String { "\(name)-\(number)" }

    private mutating func takeChanges(now: NIODeadline) -> [PresenceCall.Change] {
        var changes: [PresenceCall.Change] = []
        while changes.count < limits.changesPerCall, let client = queue.popFirst() {
            guard var entry = entries[client] else { continue }
            entry.isQueued = false
            let isPresent = entry.leaves.map { $0 > now } ?? true
            let hasLeft = entry.hasSaidGoodbye || (!isPresent && entry.isTold)
            if let ended = entry.ended {
                // Who is listed beside this node in that period, and has left it as well, has to step off first: it would be
                // taken for one that has gone on in it.
                changes.append(
                    .init(client, now < holdsUntil ? .endedUnlessListed(period: ended) : .ended(period: ended)))
            } else if hasLeft {
                entry.hasSaidGoodbye = true
                changes.append(.init(client, now < holdsUntil ? .leftUnlessLast : .left))
            } else if !isPresent {
                entries[client] = nil
                continue
            } else if !entry.isTold {
                changes.append(.init(client, .came(period: period(of: &entry))))
            }
            entries[client] = entry
        }
        return changes
    }

    private mutating func period(of entry: inout Entry) -> String {
        if let period = entry.period { return period }
        periods += 1
        let period = "\(name)-\(periods)"
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
        case (.tell, .lost): isJoined = false
        case (.sweep, .swept(let cursor, let clients)):
            sweepCursor = cursor == "0" ? nil : cursor
            for client in clients { found(client, now: now) }
            if sweepCursor == nil { hasJoinedBefore = true }
        case (.clean, .cleaned(let cursor)):
            guard let first = cleaning.popFirst() else { break }
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
        if case .tell? = call { number += 1 }
        call = nil
        isJoined = false
        cleaning = []
        retryAt = now + limits.retry
    }

    /// The broker is back.
    package mutating func mayRetry(now: NIODeadline) {
        retryAt = now
    }

    /// - Parameter period: which the client is in now, or which has ended; empty: other nodes have it still.
    private mutating func told(_ change: PresenceCall.Change, _ period: String, now: NIODeadline) {
        guard var entry = entries[change.client] else { return }
        switch change.kind {
        case .came:
            entry.isTold = true
            entry.period = period
        case .leftUnlessLast where period == PresenceReply.notDone:
            // It may still come back.
            entry.isTold = true
            entry.hasSaidGoodbye = false
            return hold(change.client, entry)
        case .endedUnlessListed where period == PresenceReply.notDone: return hold(change.client, entry)
        case .left, .leftUnlessLast:
            remember(change.client, period, now: now)
            entry.isTold = false
            entry.hasSaidGoodbye = false
            entry.period = nil
        case .ended, .endedUnlessListed:
            remember(change.client, period, now: now)
            entry.ended = nil
        }
        entries[change.client] = entry
        // It may have come back meanwhile, or there is nothing more to be said of it.
        if !entry.isTold { enqueue(change.client) }
    }

    /// The others have to say first who is with them.
    private mutating func hold(_ client: Target, _ entry: Entry) {
        entries[client] = entry
        held.append(client)
    }

    private mutating func remember(_ client: Target, _ period: String, now: NIODeadline) {
        guard !period.isEmpty else { return }
        former.append(Former(client: client, period: period, number: number, time: now))
    }

    private mutating func joined(_ state: String, now: NIODeadline) {
        isJoined = true
        number += 1
        nextBeat = now + limits.beat
        sweepCursor = "0"
        holdsUntil = now + limits.linger
        let wasDead = state == "gone" || state == "done"
        // Others may have begun and ended periods of the same clients meanwhile.
        let isLate = state.isEmpty && now > lastTold + limits.lease
        lastTold = now
        // Of what was told by this process; 0: nothing of it is known.
        let known = state.hasPrefix(name + "-") ? UInt64(state.dropFirst(name.utf8.count + 1)) ?? 0 : 0
        // In an order that a test can have again.
        for client in entries.keys.sorted(by: { $0.description < $1.description }) {
            tellAgain(client, wasDead: wasDead, isLate: isLate, now: now)
        }
        guard !wasDead else { return }
        // That a period has ended is told again if it was forgotten: before another one begins.
        for former in former where former.number > known {
            entries[former.client, default: Entry(leaves: now)].ended = former.period
            enqueue(former.client)
        }
        former.removeAll { $0.number > known }
    }

    private mutating func tellAgain(_ client: Target, wasDead: Bool, isLate: Bool, now: NIODeadline) {
        guard var entry = entries[client] else { return }
        entry.isTold = false
        if wasDead {
            // Whoever took this node for dead has ended the period, or will find the client listed no more.
            entry.period = nil
            entry.hasSaidGoodbye = false
            entry.ended = nil
        }
        let hasLeft = entry.leaves.map { $0 <= now } ?? false
        if isLate, !hasLeft { entry.period = nil }
        entries[client] = entry
        // Another node may still have it, and may not have said so again yet.
        if hasLeft, entry.period != nil, !entry.hasSaidGoodbye { leave(client, at: now + limits.linger) }
        enqueue(client)
    }

    /// A client is listed here. What an earlier process of this node has left behind may still come back.
    private mutating func found(_ client: Target, now: NIODeadline) {
        guard entries[client] == nil else { return }
        entries[client] = Entry(leaves: now, isTold: true)
        if hasJoinedBefore { enqueue(client) } else { leave(client, at: now + limits.linger) }
    }

    private mutating func clean(_ nodes: [String]) {
        for node in nodes where !cleaning.contains(where: { $0.node == node }) { cleaning.append((node, "0")) }
    }
}
