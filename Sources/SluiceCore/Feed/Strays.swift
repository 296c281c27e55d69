// SPDX-License-Identifier: Apache-2.0

/// Events that came over the feed, and that the log behind it seems to lack.
///
/// In a cluster a former master goes on sending what is published to it to those that it takes for its replicas, until it
/// learns that one of them has become the master. That one hands it on to whoever listens to it, though it has never been in
/// its logs. What is lost so is told like anything else that a node has heard: the broker is asked to look for it.
struct Strays {
    /// A publisher who forges predecessors can make any event look like one.
    private static let countMax = 128
    private static let countOfTargetMax = 4

    /// Up to which place their logs have what they should. Several of one target, because one that is in its log may be newer
    /// than one that is not.
    private var claims: [HeardEvent: EventID] = [:]

    var count: Int { claims.count }

    /// - Parameter known: up to here the log has what it should.
    mutating func add(_ event: HeardEvent, since known: EventID) {
        if let older = claims[event] {
            claims[event] = min(older, known)
        } else if claims.count < Strays.countMax,
            claims.keys.count(where: { $0.target == event.target }) < Strays.countOfTargetMax
        {
            claims[event] = known
        }
    }

    mutating func takeAll() -> [(event: HeardEvent, since: EventID)] {
        guard !claims.isEmpty else { return [] }
        defer { claims = [:] }
        return claims.map { (event: $0.key, since: $0.value) }
    }
}
