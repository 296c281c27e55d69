// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// When to look at a cluster's topology again, and whom to ask: one server at a time, the master that answered last first.
///
///     waiting ──time──▶ asking ──answer──▶ answered ──▶ waiting
///                        │  ▲
///                        └──┘ no answer, or one that is older than what is known: the next server
///
/// A thousand nodes see a master die at the same moment, so a look-up waits for a random time first, and longer each time
/// as long as something is not as it should be. No I/O; time and chance are arguments.
package struct ClusterLookup {
    /// Between two looks while everything is as it should be: a master may have fallen silent without ending its connections.
    private static let period = TimeAmount.milliseconds(2500)
    private static let backoffFirst = TimeAmount.milliseconds(50)
    /// Half a second, and not more: nobody tells a node that a replica was promoted.
    private static let backoffLast = TimeAmount.milliseconds(500)

    package enum Action: Equatable, Sendable {
        case ask(RedisAddress)
        /// - Parameter map: what is to be believed; nil if nobody has answered. To be followed by ``rest(isWhole:now:using:)``.
        case use(ClusterMap?)
        case ignore
    }

    private enum Phase {
        case waiting(until: NIODeadline)
        case asking(RedisAddress)
        /// An answer is being made use of.
        case answered
        case stopped
    }

    private let seeds: [RedisAddress]
    private var phase = Phase.waiting(until: .uptimeNanoseconds(0))
    private var backoff = Backoff(first: backoffFirst, last: backoffLast)
    /// Of the newest map. Masters first: a node is connected to them.
    private var masters: [RedisAddress] = []
    private var replicas: [RedisAddress] = []
    private var epoch: UInt64 = 0
    /// Who is to be asked first.
    private var favourite: RedisAddress?
    /// Who is to be asked last.
    private var doubted: Set<RedisAddress> = []
    private var candidates: [RedisAddress] = []
    /// The best of the answers that are older than what is known.
    private var older: ClusterMap?
    /// Something has happened that an answer which is under way may not know of.
    private var isWantedAgain = false

    package init(seeds: [RedisAddress]) {
        self.seeds = seeds
    }

    /// Something is not as the map says.
    ///
    /// - Parameters:
    ///   - trusted: who should know better.
    ///   - doubted: who may not answer.
    /// - Returns: when to wake it; nil: it is under way.
    package mutating func wanted(
        trusting trusted: RedisAddress?, doubting doubted: RedisAddress?, now: NIODeadline,
        using generator: inout some RandomNumberGenerator
    ) -> NIODeadline? {
        if let trusted { favourite = trusted }
        if let doubted {
            self.doubted.insert(doubted)
            if favourite == doubted { favourite = nil }
        }
        guard case .waiting(let until) = phase, !isWantedAgain else {
            isWantedAgain = true
            return nil
        }
        isWantedAgain = true
        let earlier = min(until, now + backoff.next(using: &generator))
        phase = .waiting(until: earlier)
        return earlier
    }

    /// A wait is over.
    package mutating func woken(now: NIODeadline, using generator: inout some RandomNumberGenerator) -> Action {
        guard case .waiting(let until) = phase, until <= now else { return .ignore }
        isWantedAgain = false
        older = nil
        // In a random order: not all nodes ask the same server.
        let known = masters.shuffled(using: &generator) + replicas.shuffled(using: &generator)
        let all = [favourite].compactMap(\.self) + known + seeds
        var seen: Set<RedisAddress> = []
        let once = all.filter { seen.insert($0).inserted }
        candidates = once.filter { !doubted.contains($0) } + once.filter(doubted.contains)
        return next()
    }

    private mutating func next() -> Action {
        guard candidates.isEmpty else {
            let address = candidates.removeFirst()
            phase = .asking(address)
            return .ask(address)
        }
        if let older { return use(older) }
        phase = .answered
        return .use(nil)
    }

    package mutating func answered(_ map: ClusterMap, by address: RedisAddress) -> Action {
        guard case .asking(address) = phase else { return .ignore }
        guard map.epoch >= epoch else {
            // Nobody has told it of a failover yet, as a dead master that has just come back; unless all say so, because
            // it is another cluster by now.
            if map.epoch >= older?.epoch ?? 0 { older = map }
            return next()
        }
        defer { favourite = masters.contains(address) ? address : nil }
        return use(map)
    }

    private mutating func use(_ map: ClusterMap) -> Action {
        phase = .answered
        epoch = map.epoch
        let owners = Set(map.owners.compactMap { $0?.address })
        masters = map.servers.filter(owners.contains)
        replicas = map.servers.filter { !owners.contains($0) }
        doubted = []
        return .use(map)
    }

    /// It has not answered, or not in time.
    package mutating func failed(_ address: RedisAddress) -> Action {
        guard case .asking(address) = phase else { return .ignore }
        if favourite == address { favourite = nil }
        return next()
    }

    /// The look-up is over.
    ///
    /// - Parameter isWhole: everything is as it should be.
    /// - Returns: when to wake it.
    package mutating func rest(
        isWhole: Bool, now: NIODeadline, using generator: inout some RandomNumberGenerator
    ) -> NIODeadline? {
        guard case .answered = phase else { return nil }
        let wait: TimeAmount
        if isWhole, !isWantedAgain {
            backoff.reset()
            let period = ClusterLookup.period.nanoseconds
            wait = .nanoseconds(.random(in: period / 2...period, using: &generator))
        } else {
            wait = backoff.next(using: &generator)
        }
        // Whatever is wanted while it waits for its turn already is no reason to wait for less.
        isWantedAgain = !isWhole || isWantedAgain
        phase = .waiting(until: now + wait)
        return now + wait
    }

    package mutating func stop() {
        phase = .stopped
    }
}
