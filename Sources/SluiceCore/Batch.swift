// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// A target that this node listens to, as a number: never given out twice in a node's life, so that what
/// the ring still holds of a target that is gone can't be mistaken for another's.
package struct TargetNumber: Hashable, Comparable, Sendable {
    package let rawValue: UInt64

    package init(_ rawValue: UInt64) {
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
        /// A repaired event that came after later ones: its frame carries no `id:`, so that no stream's cursor goes back.
        package let isLate: Bool
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
        /// Of the logged ones that are not late; `.zero` and `.max` if there are none.
        package fileprivate(set) var highest: EventID
        package fileprivate(set) var lowest: EventID
        /// Of the last logged one, late or not; `.zero` if there is none.
        package fileprivate(set) var last: EventID
        /// That one closes the topic.
        package fileprivate(set) var ends: Bool
        /// Some of them are late.
        package fileprivate(set) var hasLate: Bool
        package fileprivate(set) var hasLiveOnly: Bool
    }

    /// Position of the first entry in the node's feed. Positions count entries from the node's start.
    package let position: UInt64
    package let entries: [Entry]
    /// In the order of their targets' numbers.
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

    package var end: UInt64 { position + UInt64(entries.count) }

    /// What the batch costs in memory, in bytes.
    package var size: Int {
        buffer.capacity + entries.count * (MemoryLayout<Entry>.stride + MemoryLayout<Int32>.stride)
            + groups.count * MemoryLayout<Group>.stride
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
        let isLate = envelope.id.map { $0 <= clock } ?? false
        let (frame, repaired) = Frame.append(
            id: isLate ? nil : envelope.id, type: envelope.type, data: data, to: &buffer)
        if let id = envelope.id { clock = max(clock, id) }
        append(
            Batch.Entry(
                target: target, id: envelope.id ?? .zero, isLate: isLate, frame: frame, key: envelope.key,
                ends: envelope.ends))
        return repaired
    }

    /// Appends what was read from a log, which is encoded already.
    package mutating func append(_ entry: LogSegment.Entry, of segment: LogSegment, target: TargetNumber) {
        let isLate = entry.id <= clock
        let frame = Frame.append(
            copyOf: entry.frame, in: segment.buffer, withoutID: isLate ? entry.id : nil, to: &buffer)
        clock = max(clock, entry.id)
        append(
            Batch.Entry(
                target: target, id: entry.id, isLate: isLate, frame: frame, key: entry.key?.text, ends: entry.ends))
    }

    private mutating func append(_ entry: Batch.Entry) {
        let isOrdered = entry.id != .zero && !entry.isLate
        let lowest = isOrdered ? entry.id : .max
        let highest = isOrdered ? entry.id : .zero
        let index = Int32(entries.count)
        entries.append(entry)
        if let group = groupOf[entry.target] {
            groups[group].entries.append(index)
            groups[group].highest = max(groups[group].highest, highest)
            groups[group].lowest = min(groups[group].lowest, lowest)
            if entry.id != .zero {
                groups[group].ends = entry.ends
                groups[group].last = entry.id
            }
            groups[group].hasLiveOnly = groups[group].hasLiveOnly || entry.id == .zero
            groups[group].hasLate = groups[group].hasLate || entry.isLate
        } else {
            groupOf[entry.target] = groups.count
            groups.append(
                Batch.Group(
                    target: entry.target, entries: [index], highest: highest, lowest: lowest, last: entry.id,
                    ends: entry.ends, hasLate: entry.isLate, hasLiveOnly: entry.id == .zero))
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
        groups.sort { $0.target < $1.target }
        let batch = Batch(position: position, entries: entries, groups: groups, buffer: buffer, clock: clock)
        position = batch.end
        entries = []
        groups = []
        groupOf.removeAll(keepingCapacity: true)
        buffer = ByteBuffer()
        return batch
    }
}
