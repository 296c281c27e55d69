// SPDX-License-Identifier: Apache-2.0
import DequeModule

/// The newest events of targets to which nobody listens any more: who did may come back on another node.
struct FormerEvents {
    /// What is older is forgotten.
    private static let countMax = 1 << 14

    private var events: [Target: HeardEvent] = [:]
    /// Oldest first; what was heard again stands in it twice.
    private var order: Deque<HeardEvent> = []

    mutating func append(_ event: HeardEvent) {
        // What was read of its log since may be older.
        if let known = events[event.target], known.id > event.id { return }
        events[event.target] = event
        order.append(event)
        guard order.count > FormerEvents.countMax, let oldest = order.popFirst(), events[oldest.target] == oldest
        else { return }
        events[oldest.target] = nil
    }

    func newest(of target: Target) -> HeardEvent? { events[target] }

    func events(after id: EventID) -> [HeardEvent] { events.values.filter { $0.id > id } }
}
