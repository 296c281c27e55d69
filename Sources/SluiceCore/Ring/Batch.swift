// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// Events of one partition that arrived one behind the other, encoded once, shared by all shards and never changed.
package final class Batch: Sendable {
    package struct Entry: Sendable {
        package let target: TargetNumber
        /// `.zero` for an event that is live only.
        package let id: EventID
        /// A repaired event that came after later ones: its frame carries no `id:`, so that no stream's cursor goes back.
        package let isLate: Bool
        package let frame: Frame
        /// What a later event of the same target and key makes superfluous.
        package let key: String?
        /// The event closes its topic.
        package let ends: Bool
        /// The index of the next entry of the same target; 0: there is none.
        var next: Int32 = 0
    }

    /// What one target has in the batch. Its entries are chained, so that a batch of many targets costs no allocation for
    /// each.
    package struct Group: Sendable {
        package let target: TargetNumber
        let first: Int32
        var latest: Int32
        /// Of the logged ones that are not late; `.zero` and `.max` if there are none.
        package internal(set) var highest: EventID
        package internal(set) var lowest: EventID
        /// Of the last logged one, late or not; `.zero` if there is none.
        package internal(set) var last: EventID
        /// That one closes the topic.
        package internal(set) var ends: Bool
        /// Some of them are late.
        package internal(set) var hasLate: Bool
        package internal(set) var hasLiveOnly: Bool
    }

    /// An event of which the log is to tell.
    package struct Sample: Sendable {
        /// The index of its entry.
        package let index: Int
        package let trace: TraceParent?
    }

    /// Position of the first entry in the node's feed. Positions count entries from the node's start.
    package let position: UInt64
    package let entries: [Entry]
    /// In the order of their targets' numbers.
    package let groups: [Group]
    /// The frames, one behind the other.
    package let buffer: ByteBuffer
    package let partition: Partition
    /// The highest ids that the node knew once it had this batch: every earlier event has been received.
    package let cut: Cut
    /// Mostly none.
    package let samples: [Sample]

    init(
        position: UInt64, entries: [Entry], groups: [Group], buffer: ByteBuffer, partition: Partition, cut: Cut,
        samples: [Sample]
    ) {
        self.position = position
        self.entries = entries
        self.groups = groups
        self.buffer = buffer
        self.partition = partition
        self.cut = cut
        self.samples = samples
    }

    /// What one target has in the batch: a stream of many targets looks each up, and not through all that others have.
    package func group(of target: TargetNumber) -> Group? {
        var low = groups.startIndex
        var high = groups.endIndex
        while low < high {
            let middle = (low + high) / 2
            if groups[middle].target < target { low = middle + 1 } else { high = middle }
        }
        return low < groups.endIndex && groups[low].target == target ? groups[low] : nil
    }

    /// The indices of a group's entries, in order.
    package func visit(_ group: Group, _ body: (Int32) -> Void) {
        var index = group.first
        repeat {
            body(index)
            index = entries[Int(index)].next
        } while index != 0
    }

    /// The highest id of its own partition.
    package var clock: EventID { cut[partition] }

    package var end: UInt64 { position + UInt64(entries.count) }

    /// What the batch costs in memory, in bytes.
    package var size: Int {
        buffer.capacity + entries.count * MemoryLayout<Entry>.stride
            + groups.count * MemoryLayout<Group>.stride
    }
}
