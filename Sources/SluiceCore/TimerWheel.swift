// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// One timer for everything of a shard: elements wait in buckets of time.
///
/// What is due beyond one turn of the wheel comes back at the end of the turn and is put in again; so an
/// element is told to look at itself, not that its time has come.
package struct TimerWheel<Element> {
    private var slots: [ContiguousArray<Element>]
    private let tick: TimeAmount
    private var current: Int = 0
    private var currentTime: NIODeadline

    package init(slots: Int, tick: TimeAmount, now: NIODeadline) {
        self.slots = Array(repeating: [], count: slots)
        self.tick = tick
        self.currentTime = now
    }

    /// `deadline` is rounded up to the next tick.
    package mutating func insert(_ element: Element, at deadline: NIODeadline) {
        let wait = max(0, (deadline - currentTime).nanoseconds)
        let ticks = Int((wait + tick.nanoseconds - 1) / tick.nanoseconds)
        let slot = (current + min(max(ticks, 1), slots.count - 1)) % slots.count
        slots[slot].append(element)
    }

    /// Lets go of what need not be looked at any more.
    package mutating func removeAll(where isOver: (Element) -> Bool) {
        for slot in slots.indices { slots[slot].removeAll(where: isOver) }
    }

    /// Takes out what is due at `now`, the earlier tick first. Handed out as a whole: who is told to look at itself may
    /// put things in.
    package mutating func due(at now: NIODeadline) -> ContiguousArray<Element> {
        var due: ContiguousArray<Element> = []
        while currentTime + tick <= now {
            currentTime = currentTime + tick
            current = (current + 1) % slots.count
            if due.isEmpty { swap(&due, &slots[current]) } else { due += slots[current] }
            slots[current] = []
        }
        return due
    }
}
