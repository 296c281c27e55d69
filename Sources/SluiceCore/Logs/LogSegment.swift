// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// A piece of one log, encoded once for every stream that replays it, and never changed.
///
/// Like a ``Batch`` of the live feed: streams that are slow share its bytes instead of holding copies.
package final class LogSegment: Sendable {
    package struct Entry: Sendable {
        package let id: EventID
        /// The id of the event before it in the same log; nil for the first.
        package let previous: EventID?
        package let key: ExactText?
        package let ends: Bool
        package let frame: Frame
    }

    package let entries: [Entry]
    /// The frames, one behind the other.
    package let buffer: ByteBuffer
    /// The newest id of the log, read before the entries.
    package let marker: LogMarker?
    /// It has every entry of the log after this id …
    package let after: EventID
    /// … up to this one.
    package let upTo: EventID
    /// When it was read there was nothing behind it.
    package let isLast: Bool
    /// Entries whose data had to be repaired, because it was not UTF-8.
    package let repairedCount: Int

    /// - Parameter after: the id behind which the page was read.
    package init(_ page: LogPage, after: EventID) {
        // What the fields and the chunk need beside the data is small: most segments are allocated once.
        var buffer = ByteBufferAllocator().buffer(
            capacity: page.entries.reduce(0) { $0 + $1.event.data.readableBytes + 96 })
        var repairedCount = 0
        entries = page.entries.map { entry in
            let (frame, repaired) = entry.event.data.withUnsafeReadableBytes {
                Frame.append(id: Cursor(entry.id), type: entry.event.type, data: $0, to: &buffer)
            }
            if repaired { repairedCount += 1 }
            return Entry(
                id: entry.id, previous: entry.previous, key: entry.event.key.map { ExactText($0) },
                ends: entry.event.ends, frame: frame)
        }
        self.buffer = buffer
        self.repairedCount = repairedCount
        self.after = after
        marker = page.marker
        isLast = page.isLast
        upTo = max(after, page.upTo ?? page.entries.last?.id ?? after)
    }

    /// What the segment costs in memory, in bytes.
    package var size: Int {
        buffer.capacity + entries.count * MemoryLayout<Entry>.stride
    }

    /// The first entry after an id.
    func index(after id: EventID) -> Int {
        var low = entries.startIndex
        var high = entries.endIndex
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].id > id { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

/// What one reader gets of a segment.
package struct LogSlice: Sendable {
    package let segment: LogSegment
    /// The first entry that is the reader's.
    package let start: Int
    /// Nothing up to the reader's mark is behind it.
    package let isLast: Bool
    /// For a reader that conflates: of which of the segment's entries the log has a newer one of the same key.
    package var superseded: [Bool]?

    package init(_ segment: LogSegment, start: Int = 0, isLast: Bool, superseded: [Bool]? = nil) {
        self.segment = segment
        self.start = start
        self.isLast = isLast
        self.superseded = superseded
    }
}
