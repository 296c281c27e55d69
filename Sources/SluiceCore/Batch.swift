// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// A target that this node listens to, as a number: never given out twice in a node's life, so that what
/// the ring still holds of a target that is gone can't be mistaken for another's.
package struct TargetNumber: Hashable, Comparable, Sendable {
    package let rawValue: UInt32

    package init(_ rawValue: UInt32) {
        self.rawValue = rawValue
    }

    package static func < (left: TargetNumber, right: TargetNumber) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// The events that arrived in one read of the feed, encoded once, shared by all shards and never changed.
package final class Batch: Sendable {
    package struct Entry: Sendable {
        package let target: TargetNumber
        /// `.zero` for an event that is live only.
        package let id: EventID
        package let frame: Frame
        /// What a later event of the same target and key makes superfluous.
        package let key: String?
        /// The event closes its topic.
        package let ends: Bool
    }

    /// The entries of one target, in order.
    package struct Group: Sendable {
        package let target: TargetNumber
        package fileprivate(set) var entries: [Int32]
        /// Of the logged ones; `.zero` and `.max` if there are none.
        package fileprivate(set) var highest: EventID
        package fileprivate(set) var lowest: EventID
        /// The last of them closes the topic.
        package fileprivate(set) var ends: Bool
    }

    /// Position of the first entry in the node's feed. Positions count entries from the node's start.
    package let position: UInt64
    package let entries: [Entry]
    package let groups: [Group]
    /// The frames, one behind the other.
    package let buffer: ByteBuffer
    /// The highest id that the node knew once it had this batch: every earlier event has been received.
    package let clock: EventID

    fileprivate init(position: UInt64, entries: [Entry], groups: [Group], buffer: ByteBuffer, clock: EventID) {
        self.position = position
        self.entries = entries
        self.groups = groups
        self.buffer = buffer
        self.clock = clock
    }

    package var end: UInt64 { position + UInt64(entries.count) }

    /// What the batch costs in memory, in bytes.
    package var size: Int {
        buffer.capacity + entries.count * MemoryLayout<Entry>.stride
    }
}

/// Collects events until the read of the feed is over.
package struct BatchBuilder {
    private var entries: [Batch.Entry] = []
    private var groups: [Batch.Group] = []
    private var groupOf: [TargetNumber: Int] = [:]
    private var buffer = ByteBuffer()
    private var position: UInt64 = 0
    /// The highest id seen so far, of events and of the clock's readings.
    package private(set) var clock = EventID.zero

    package init() {}

    /// - Returns: whether the data had to be repaired, because it was not UTF-8.
    package mutating func append(
        _ envelope: borrowing Envelope, data: UnsafeRawBufferPointer, target: TargetNumber
    ) -> Bool {
        // An id that lies behind would make a stream's cursor go back: its data goes out without it.
        let id = envelope.id.flatMap { $0 > clock ? $0 : nil }
        let (frame, repaired) = Frame.append(id: id, type: envelope.type, data: data, to: &buffer)
        if let id { clock = id }
        append(
            Batch.Entry(target: target, id: id ?? .zero, frame: frame, key: envelope.key, ends: envelope.ends))
        return repaired
    }

    private mutating func append(_ entry: Batch.Entry) {
        let lowest = entry.id == .zero ? .max : entry.id
        let index = Int32(entries.count)
        entries.append(entry)
        if let group = groupOf[entry.target] {
            groups[group].entries.append(index)
            groups[group].highest = max(groups[group].highest, entry.id)
            groups[group].lowest = min(groups[group].lowest, lowest)
            groups[group].ends = entry.ends
        } else {
            groupOf[entry.target] = groups.count
            groups.append(
                Batch.Group(
                    target: entry.target, entries: [index], highest: entry.id, lowest: lowest, ends: entry.ends))
        }
    }

    /// Takes note of a reading of the clock: every earlier event has been received.
    package mutating func raise(clock reading: EventID) {
        clock = max(clock, reading)
    }

    /// The bytes that wait to be given out.
    package var pendingBytes: Int { buffer.readableBytes }

    /// Gives out what was collected; nil if there is nothing.
    package mutating func finish() -> Batch? {
        guard !entries.isEmpty else { return nil }
        let batch = Batch(position: position, entries: entries, groups: groups, buffer: buffer, clock: clock)
        position = batch.end
        entries = []
        groups = []
        groupOf.removeAll(keepingCapacity: true)
        buffer = ByteBuffer()
        return batch
    }
}
