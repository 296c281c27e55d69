// SPDX-License-Identifier: Apache-2.0
import DequeModule

/// The ids that this node has had lately.
///
/// As long as two servers call themselves master, each gives out ids that the other does not know. A node that goes from one
/// to the other needs to know which it has had, so that it delivers the rest and none twice.
struct RecentEvents {
    private struct Event: Hashable {
        let id: EventID
        let number: TargetNumber
    }

    /// In milliseconds of ids: longer than two masters exist side by side.
    private static let age: UInt64 = 30_000
    private static let countMax = 1 << 17
    private static let lateMax = 1 << 12
    /// What is looked through for one target.
    private static let searchMax = 1 << 12
    /// What is told of one hole.
    private static let idsMax = 64

    /// In the order of their ids, in which nearly all come.
    private var events: Deque<Event> = []
    /// Those that came behind later ones, oldest first; the newest are remembered.
    private var lateOrder: Deque<Event> = []
    private var late: Set<Event> = []
    /// Of what was had up to this id not everything is remembered.
    private(set) var forgotten = EventID.zero
    /// The same of those that came late.
    private var forgottenLate = EventID.zero

    /// Of what was had later than this everything is remembered.
    var incompleteUpTo: EventID { max(forgotten, forgottenLate) }

    mutating func append(_ id: EventID, _ number: TargetNumber) {
        let event = Event(id: id, number: number)
        if let last = events.last, id < last.id { return appendLate(event) }
        events.append(event)
        while let first = events.first,
            events.count > RecentEvents.countMax || first.id.milliseconds + RecentEvents.age < id.milliseconds
        {
            forgotten = max(forgotten, first.id)
            events.removeFirst()
        }
    }

    private mutating func appendLate(_ event: Event) {
        guard late.insert(event).inserted else { return }
        lateOrder.append(event)
        if lateOrder.count > RecentEvents.lateMax, let oldest = lateOrder.popFirst() {
            late.remove(oldest)
            forgottenLate = max(forgottenLate, oldest.id)
        }
    }

    func contains(_ id: EventID, _ number: TargetNumber) -> Bool {
        let event = Event(id: id, number: number)
        return events[firstIndex { $0 >= id }...].prefix { $0.id == id }.contains(event) || late.contains(event)
    }

    /// The first id of a target beyond one; nil: there is none, or that is not known, or would take too long.
    func first(of number: TargetNumber, after id: EventID) -> EventID? {
        let start = firstIndex { $0 > id }
        guard incompleteUpTo <= id, events.count - start <= RecentEvents.searchMax else { return nil }
        let first = events[start...].first { $0.number == number }?.id
        let late = lateOrder.lazy.filter { $0.number == number && $0.id > id }.map(\.id).min()
        return [first, late].compactMap(\.self).min()
    }

    /// The ids of a target in there; none: they are not known, or to find them would take too long.
    func ids(of number: TargetNumber, after id: EventID, upTo end: EventID) -> [EventID] {
        let start = firstIndex { $0 > id }
        guard incompleteUpTo <= id, events.count - start <= RecentEvents.searchMax else { return [] }
        let late = lateOrder.filter { $0.number == number && $0.id > id && $0.id <= end }
        let found = events[start...].prefix { $0.id <= end }.filter { $0.number == number } + late
        return found.count <= RecentEvents.idsMax ? found.map(\.id) : []
    }

    private func firstIndex(where isPast: (EventID) -> Bool) -> Int {
        var (low, high) = (0, events.count)
        while low < high {
            let middle = (low + high) / 2
            if isPast(events[middle].id) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// By their targets, the ids beyond one.
    func ids(after id: EventID) -> [TargetNumber: Set<EventID>] {
        var ids: [TargetNumber: Set<EventID>] = [:]
        for event in events where event.id > id { ids[event.number, default: []].insert(event.id) }
        for event in lateOrder where event.id > id { ids[event.number, default: []].insert(event.id) }
        return ids
    }
}
