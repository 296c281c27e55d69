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

    /// Several of one target, because one that is in its log may be newer than one that is not.
    private var events: [HeardEvent: EventID] = [:]

    var count: Int { events.count }

    /// - Parameter known: up to here the log has what it should.
    /// - Returns: whether there was room for it.
    mutating func add(_ event: HeardEvent, since known: EventID) -> Bool {
        guard hasRoom(for: event) else { return false }
        events[event] = min(events[event] ?? known, known)
        return true
    }

    func hasRoom(for event: HeardEvent) -> Bool {
        events[event] != nil
            || events.count < Strays.countMax
                && events.count(where: { $0.key.target == event.target }) < Strays.countOfTargetMax
    }

    /// With the place of each: the earlier that is, the more streams are told of a gap.
    mutating func takeAll() -> [HeardEvent: EventID] {
        defer { self = Strays() }
        return events
    }
}
