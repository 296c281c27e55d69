// SPDX-License-Identifier: Apache-2.0
import DequeModule

/// The ids that this node has had lately.
///
/// As long as two servers call themselves master, each gives out ids that the other does not know. A node that goes from one
/// to the other needs to know which it has had, so that it delivers the rest and none twice.
struct RecentEvents {
    /// In milliseconds of ids: longer than two masters exist side by side.
    private static let age: UInt64 = 30_000
    private static let countMax = 1 << 17

    private var events: Deque<(id: EventID, number: TargetNumber)> = []
    /// Of what was had up to this id not everything is remembered.
    private(set) var forgotten = EventID.zero

    mutating func append(_ id: EventID, _ number: TargetNumber) {
        events.append((id, number))
        while let first = events.first,
            events.count > RecentEvents.countMax || first.id.milliseconds + RecentEvents.age < id.milliseconds
        {
            forgotten = max(forgotten, first.id)
            events.removeFirst()
        }
    }

    /// By their targets, the ids beyond one.
    func ids(after id: EventID) -> [TargetNumber: Set<EventID>] {
        var ids: [TargetNumber: Set<EventID>] = [:]
        for event in events where event.id > id { ids[event.number, default: []].insert(event.id) }
        return ids
    }
}
