// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// Collects events until the read of the feed is over, or one of another partition comes.
package struct BatchBuilder {
    private var entries: [Batch.Entry] = []
    private var groups: [Batch.Group] = []
    private var samples: [Batch.Sample] = []
    private var groupOf: [TargetNumber: Int] = [:]
    private var buffer = ByteBuffer()
    private var position: UInt64 = 0
    /// Of what is collected.
    private var partition = Partition.first
    /// The highest ids seen so far, of events and of the clocks' readings.
    package private(set) var cut: Cut

    /// - Parameter partitions: how many the broker has.
    package init(partitions: Int = 1) {
        cut = Cut(.zero, count: partitions)
    }

    /// Whether what is collected has to go out before anything of this target comes: a batch is of one partition, so that each
    /// of its events has the same place in all others.
    package func isDue(before target: TargetNumber) -> Bool {
        target.partition != partition && !entries.isEmpty
    }

    /// Where a client stands that has everything up to this event.
    private func cursor(_ id: EventID) -> Cursor {
        cut.count == 1 ? Cursor(id) : Cursor(cut.with(id, in: partition), at: partition)
    }

    /// - Returns: whether the data had to be repaired, because it was not UTF-8.
    package mutating func append(
        _ envelope: borrowing Envelope, data: UnsafeRawBufferPointer, target: TargetNumber
    ) -> Bool {
        partition = target.partition
        let isLate = envelope.id.map { $0 <= cut[partition] } ?? false
        let (frame, repaired) = Frame.append(
            id: isLate ? nil : envelope.id.map { cursor($0) }, type: envelope.type, data: data, to: &buffer)
        if let id = envelope.id { cut.raise(partition, to: id) }
        append(
            Batch.Entry(
                target: target, id: envelope.id ?? .zero, isLate: isLate, frame: frame, key: envelope.key,
                ends: envelope.ends))
        return repaired
    }

    /// Appends what was read from a log, which is encoded already.
    package mutating func append(_ entry: LogSegment.Entry, of segment: LogSegment, target: TargetNumber) {
        partition = target.partition
        let isLate = entry.id <= cut[partition]
        let line: Frame.IDLine =
            if isLate { .removed } else if cut.count == 1 { .kept } else { .replaced(by: cursor(entry.id)) }
        let frame = Frame.append(copyOf: entry.frame, in: segment.buffer, id: line, to: &buffer)
        cut.raise(partition, to: entry.id)
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
        // A burst is mostly of one target.
        let known = groups.last?.target == entry.target ? groups.endIndex - 1 : groupOf[entry.target]
        if let group = known {
            entries[Int(groups[group].latest)].next = index
            groups[group].latest = index
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
                    target: entry.target, first: index, latest: index, highest: highest, lowest: lowest, last: entry.id,
                    ends: entry.ends, hasLate: entry.isLate, hasLiveOnly: entry.id == .zero))
        }
    }

    /// The log is to tell of the event that was appended last.
    package mutating func sample(trace: TraceParent?) {
        samples.append(Batch.Sample(index: entries.count - 1, trace: trace))
    }

    /// Takes note of a reading of a partition's clock: every earlier event has been received.
    package mutating func raise(clock reading: EventID, of partition: Partition = .first) {
        cut.raise(partition, to: reading)
    }

    /// The bytes that wait to be given out.
    package var pendingBytes: Int { buffer.readableBytes }

    /// Gives out what was collected; nil if there is nothing.
    package mutating func finish() -> Batch? {
        guard !entries.isEmpty else { return nil }
        groups.sort { $0.target < $1.target }
        let batch = Batch(
            position: position, entries: entries, groups: groups, buffer: buffer, partition: partition, cut: cut,
            samples: samples)
        position = batch.end
        entries = []
        groups = []
        samples = []
        groupOf.removeAll(keepingCapacity: true)
        buffer = ByteBuffer()
        return batch
    }
}
