// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// The streams of a shard that is to be emptied, and how many of them are due by now.
package struct Drain<Element> {
    private let start: NIODeadline
    private let time: TimeAmount
    private let total: Int
    private var left: ContiguousArray<Element>

    package init(start: NIODeadline, time: TimeAmount, streams: [Element]) {
        self.start = start
        self.time = time
        self.total = streams.count
        self.left = ContiguousArray(streams)
    }

    /// Takes out those whose time has come.
    package mutating func due(now: NIODeadline) -> [Element] {
        let elapsed = max(0, (now - start).nanoseconds)
        let share = time.nanoseconds <= 0 ? 1 : min(1, Double(elapsed) / Double(time.nanoseconds))
        let count = left.count - (total - Int(Double(total) * share))
        guard count > 0 else { return [] }
        defer { left.removeLast(count) }
        return Array(left.suffix(count))
    }
}
