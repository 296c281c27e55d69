// SPDX-License-Identifier: Apache-2.0

/// Events that came over the feed, and that the log behind it seems to lack.
///
/// In a cluster a former master goes on sending what is published to it to those that it takes for its replicas, until it
/// learns that one of them has become the master. That one hands it on to whoever listens to it, though it has never been in
/// its logs. What is lost so is told like anything else that a node has heard: the broker is asked to look for it.
struct Strays {
    /// A publisher who forges predecessors can make any event look like one.
    private static let countMax = 128

    private var events: [Target: HeardEvent] = [:]
    private var since = EventID.max

    var count: Int { events.count }

    /// - Parameter known: up to here the log has what it should.
    mutating func add(_ event: HeardEvent, since known: EventID) {
        guard events.count < Strays.countMax || events[event.target] != nil else { return }
        if let older = events[event.target], older.id > event.id {
            since = min(since, known)
            return
        }
        events[event.target] = event
        since = min(since, known)
    }

    /// nil: there are none.
    mutating func takeAll() -> (events: [HeardEvent], since: EventID)? {
        guard !events.isEmpty else { return nil }
        defer { self = Strays() }
        return (Array(events.values), since)
    }
}
