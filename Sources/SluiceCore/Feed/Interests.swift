// SPDX-License-Identifier: Apache-2.0
import DequeModule

/// What this node listens to: the one table of who listens, and since when each target is covered.
struct Interests: ~Copyable {
    private var byTarget: [Target: Interest] = [:]
    private var byNumber: [TargetNumber: Interest] = [:]
    /// Targets that are confirmed, and of which no reading has come since.
    private var fresh: Set<TargetNumber> = []
    private var toAudit: Deque<Target> = []

    subscript(target: Target) -> Interest? { byTarget[target] }
    subscript(number: TargetNumber) -> Interest? { byNumber[number] }
    var targets: [Target] { Array(byTarget.keys) }
    var isEmpty: Bool { byTarget.isEmpty }
    /// Entries of all its tables.
    var size: Int { byTarget.count + byNumber.count + fresh.count }
    /// Strays and holes that are remembered of all targets.
    var claims: Int { byTarget.values.reduce(0) { $0 + $1.claims } }

    /// A shard begins to listen.
    ///
    /// - Parameter number: of a target that is new.
    /// - Returns: whether nobody listened before.
    mutating func join(_ target: Target, as number: TargetNumber, shard: Int) -> Bool {
        let interest = byTarget[target] ?? Interest(target: target, number: number)
        byTarget[target] = interest
        byNumber[interest.number] = interest
        defer { interest.shards.insert(shard) }
        return interest.shards.isEmpty
    }

    /// The broker was asked for a target, and does not say that everything of it arrived meanwhile.
    mutating func beginAnew(_ target: Target) {
        guard let interest = byTarget[target] else { return }
        interest.coverage = .unknown
        fresh.remove(interest.number)
    }

    /// - Returns: whether nobody listens any more.
    mutating func leave(_ target: Target, shard: Int) -> Bool {
        guard let interest = byTarget[target], interest.shards.remove(shard) != nil else { return false }
        return interest.shards.isEmpty
    }

    mutating func confirm(_ target: Target) {
        guard let interest = byTarget[target] else { return }
        interest.coverage.confirm()
        if interest.coverage == .confirmed { fresh.insert(interest.number) }
    }

    /// - Returns: the targets that a reading of the clock covers from now on.
    mutating func settle(at reading: EventID) -> [TargetNumber] {
        guard !fresh.isEmpty else { return [] }
        defer { fresh.removeAll() }
        return fresh.filter { byNumber[$0]?.coverage.settle(at: reading) ?? false }
    }

    /// The same for one.
    mutating func settle(_ interest: Interest, at reading: EventID) -> Bool {
        fresh.remove(interest.number) != nil && interest.coverage.settle(at: reading)
    }

    /// - Returns: what was known of a target of which nothing arrives any more; nil if somebody listens again.
    mutating func remove(_ target: Target) -> Interest? {
        guard let interest = byTarget[target], interest.shards.isEmpty else { return nil }
        byTarget[target] = nil
        byNumber[interest.number] = nil
        fresh.remove(interest.number)
        return interest
    }

    mutating func interrupt() {
        for interest in byTarget.values { interest.interrupt() }
        fresh.removeAll()
    }

    func areReread() {
        for interest in byTarget.values { interest.rereadAfter = nil }
    }

    func forget(upTo id: EventID) {
        for interest in byTarget.values { interest.forget(upTo: id) }
    }

    /// Some targets, each in its turn.
    mutating func nextToAudit(max count: Int) -> [Target] {
        if toAudit.isEmpty { toAudit.append(contentsOf: byTarget.keys) }
        let audited = Array(toAudit.prefix(count))
        toAudit.removeFirst(audited.count)
        return audited
    }
}
