// SPDX-License-Identifier: Apache-2.0
import DequeModule

/// The newest batches of the feed, bounded in bytes: what a stream that fell behind, or came back, reads from.
///
/// Positions count the entries of the feed; the ring holds those in `start..<end`.
package struct Ring {
    private var batches: Deque<Batch> = []
    /// What its batches cost in memory, in bytes.
    package private(set) var size = 0
    private let sizeMax: Int
    package private(set) var start: UInt64 = 0
    package private(set) var end: UInt64 = 0
    private var highestDropped: Cut

    /// - Parameter partitions: how many the broker has.
    package init(sizeMax: Int, partitions: Int = 1) {
        self.sizeMax = sizeMax
        highestDropped = Cut(.zero, count: partitions)
    }

    /// The highest id of a partition that was dropped: the ring has every event with a later one since its node began to listen.
    package func dropped(of partition: Partition = .first) -> EventID {
        highestDropped[partition]
    }

    /// The newest batch stays, whatever its size.
    ///
    /// - Parameter drop: is told each batch that has to go.
    package mutating func append(_ batch: Batch, drop: (Batch) -> Void) {
        if batches.isEmpty { start = batch.position }
        batches.append(batch)
        size += batch.size
        end = batch.end
        while size > sizeMax, batches.count > 1, let oldest = batches.popFirst() {
            size -= oldest.size
            start = oldest.end
            highestDropped.raise(to: oldest.cut)
            drop(oldest)
        }
    }

    /// The batch that holds `position`; nil if the position is not in the ring.
    package func batch(at position: UInt64) -> Batch? {
        guard position >= start, position < end else { return nil }
        return batches[firstIndex { $0.end > position }]
    }

    /// The position from which on all events of a partition later than `id` are found; nil if some of them were dropped.
    package func position(after id: EventID, of partition: Partition = .first) -> UInt64? {
        guard id >= highestDropped[partition] else { return nil }
        let index = firstIndex { $0.cut[partition] > id }
        return index < batches.endIndex ? batches[index].position : end
    }

    private func firstIndex(where isPast: (Batch) -> Bool) -> Int {
        var low = batches.startIndex
        var high = batches.endIndex
        while low < high {
            let middle = (low + high) / 2
            if isPast(batches[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
