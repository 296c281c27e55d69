// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// Gathers what one stream gets out of one batch into bytes that lie together, so that one `send` carries them.
///
/// Where the frames lie side by side already, nothing is copied; what was gathered for one stream serves the next
/// that gets the same.
package struct FrameWriter {
    private enum Source {
        case batch(Range<Int>)
        case scratch
    }

    /// What a cut leaves: the rest of the frame that was begun, and what comes after it.
    package struct Stop {
        package let rest: FrameRest
        package let nextPosition: UInt64
        /// The highest id of the events that are out, the cut one included.
        package let highest: EventID
        package let hasLate: Bool
        package let count: Int
    }

    /// From this size on a rest is not copied.
    private static let sharedMin = 16 << 10

    private var batch: Batch?
    private var selected: ContiguousArray<Int32> = []
    private var scratch = ByteBuffer()
    /// The selected frames with cursors that are the stream's own, and their bytes; empty: they go out as they are.
    private var ownFrames: ContiguousArray<Frame> = []
    private var ownBytes = ByteBuffer()
    private var source = Source.scratch
    private var wire = StreamWire.chunked
    /// The group whose whole content is selected; -1 for any other selection.
    private var wholeGroup = -1
    package private(set) var selectedBytes = 0
    package private(set) var highest = EventID.zero
    package private(set) var hasLate = false
    /// Live streams that took the whole selection, and are not in `times` yet.
    private var takers = 0
    var times: DeliveryTimes

    package init(times: DeliveryTimes) {
        self.times = times
    }

    package mutating func begin(_ batch: Batch) {
        self.batch = batch
        wholeGroup = -1
        times.begin()
    }

    /// Lets go of the batch.
    package mutating func end() {
        count()
        batch = nil
        if scratch.capacity > 1 << 20 { scratch = ByteBuffer() }
        if ownBytes.capacity > 1 << 20 { ownBytes = ByteBuffer() }
    }

    package var selectedCount: Int { selected.count }

    /// Selects what one target has in the batch, for a stream that is live. Nearly always that is all of it.
    package mutating func select(
        group index: Int, beyond floor: EventID, wire: StreamWire,
        for wanted: @autoclosure () -> StreamMachine.Wanted
    ) {
        guard let batch else { return }
        let group = batch.groups[index]
        if floor >= group.lowest || group.hasLate {
            return select(CollectionOfOne(group.target), for: wanted(), wire: wire)
        }
        if wholeGroup == index, self.wire == wire { return }
        count()
        selected.removeAll(keepingCapacity: true)
        batch.visit(group) { selected.append($0) }
        highest = group.highest
        hasLate = false
        ownFrames.removeAll(keepingCapacity: true)
        gather(batch, wire: wire)
        wholeGroup = index
    }

    /// Selects what these targets have in the batch, in the order of the feed.
    ///
    /// - Parameters:
    ///   - place: where the client stands in other partitions, if the frames don't say so.
    ///   - isSuperseded: whether a later event has made this one superfluous.
    package mutating func select(
        _ targets: some Sequence<TargetNumber>, for wanted: StreamMachine.Wanted, from position: UInt64 = 0,
        wire: StreamWire, place: Cut? = nil, isSuperseded: ((Batch.Entry, UInt64) -> Bool)? = nil
    ) {
        guard let batch else { return }
        count()
        let first = Int32(position > batch.position ? position - batch.position : 0)
        selected.removeAll(keepingCapacity: true)
        highest = .zero
        hasLate = false
        var groups = 0
        for target in targets {
            guard let group = batch.group(of: target) else { continue }
            groups += 1
            batch.visit(group) { index in
                let entry = batch.entries[Int(index)]
                let position = batch.position + UInt64(index)
                guard index >= first, wanted.contains(entry, at: position), isSuperseded?(entry, position) != true
                else { return }
                selected.append(index)
                highest = max(highest, entry.id)
                hasLate = hasLate || entry.isLate
            }
        }
        if groups > 1 { selected.sort() }
        wholeGroup = -1
        ownFrames.removeAll(keepingCapacity: true)
        if let place { compose(batch, place) }
        gather(batch, wire: wire)
    }

    /// A live stream took so many of the selected events.
    package mutating func took(_ taken: Int) {
        if taken == selected.count {
            takers += 1
            if takers == DeliveryTimes.streamsMax { count() }
        } else if let batch, taken > 0 {
            times.add(selected.prefix(taken), of: batch, streams: 1)
        }
    }

    private mutating func count() {
        if let batch, takers > 0 { times.add(selected[...], of: batch, streams: takers) }
        takers = 0
    }

    /// Copies the selected frames, and gives them cursors of the stream's own.
    private mutating func compose(_ batch: Batch, _ place: Cut) {
        ownBytes.clear()
        for index in selected {
            let entry = batch.entries[Int(index)]
            let line: Frame.IDLine =
                carriesID(entry)
                ? .replaced(by: Cursor(place.with(entry.id, in: batch.partition), at: batch.partition)) : .kept
            ownFrames.append(Frame.append(copyOf: entry.frame, in: batch.buffer, id: line, to: &ownBytes))
        }
    }

    private func carriesID(_ entry: Batch.Entry) -> Bool { entry.id != .zero && !entry.isLate }

    private mutating func gather(_ batch: Batch, wire: StreamWire) {
        self.wire = wire
        guard let first = selected.first, let last = selected.last else {
            selectedBytes = 0
            return
        }
        guard ownFrames.isEmpty else { return gatherOwn() }
        let isWhole = Int(last - first) + 1 == selected.count
        if selected.count == 1 || (isWhole && wire.keepsNeighbours) {
            let range = range(batch, first).lowerBound..<range(batch, last).upperBound
            source = .batch(range)
            selectedBytes = range.count
            return
        }
        scratch.clear()
        batch.buffer.withUnsafeReadableBytes { bytes in
            for index in selected { scratch.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[range(batch, index)])) }
        }
        source = .scratch
        selectedBytes = scratch.readableBytes
    }

    private mutating func gatherOwn() {
        scratch.clear()
        ownBytes.withUnsafeReadableBytes { bytes in
            for frame in ownFrames {
                scratch.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[wire.range(of: frame)]))
            }
        }
        source = .scratch
        selectedBytes = scratch.readableBytes
    }

    private func range(_ batch: Batch, _ index: Int32) -> Range<Int> {
        wire.range(of: batch.entries[Int(index)].frame)
    }

    package func withSelectedBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        switch source {
        case .batch(let range):
            guard let batch else { return body(UnsafeRawBufferPointer(start: nil, count: 0)) }
            return batch.buffer.withUnsafeReadableBytes { body(UnsafeRawBufferPointer(rebasing: $0[range])) }
        case .scratch:
            return scratch.withUnsafeReadableBytes(body)
        }
    }

    /// The selected bytes as a buffer, for ways out that keep it.
    package var selectedBuffer: ByteBuffer {
        switch source {
        case .batch(let range): batch?.buffer.getSlice(at: range.lowerBound, length: range.count) ?? ByteBuffer()
        case .scratch: scratch
        }
    }

    /// Cuts the selection where the socket stopped: the frame that was begun, or is next, has to be finished first.
    package func cut(after sent: Int) -> Stop {
        var end = 0
        var highest = EventID.zero
        var hasLate = false
        for (count, index) in selected.enumerated() {
            guard let batch else { break }
            let entry = batch.entries[Int(index)]
            let (frame, bytes) = ownFrames.isEmpty ? (entry.frame, batch.buffer) : (ownFrames[count], ownBytes)
            let range = wire.range(of: frame)
            end += range.count
            highest = max(highest, entry.id)
            hasLate = hasLate || entry.isLate
            if end > sent {
                return Stop(
                    rest: rest(
                        bytes.getSlice(at: range.upperBound - (end - sent), length: end - sent), of: entry, in: batch),
                    nextPosition: batch.position + UInt64(index) + 1, highest: highest, hasLate: hasLate,
                    count: count + 1)
            }
        }
        preconditionFailure("all was sent")
    }

    private func rest(_ rest: ByteBuffer?, of entry: Batch.Entry, in batch: Batch) -> FrameRest {
        let common =
            !ownFrames.isEmpty && carriesID(entry)
            ? wire.commonRange(of: entry.frame, in: batch.buffer) : wire.range(of: entry.frame)
        return FrameRest(
            rest ?? ByteBuffer(), common: batch.buffer.getSlice(at: common.lowerBound, length: common.count),
            sharedMin: FrameWriter.sharedMin)
    }
}
