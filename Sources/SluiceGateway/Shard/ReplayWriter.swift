// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// Gathers what a stream gets of its logs into bytes that go out with one `send`.
///
/// Small frames are copied side by side. A large one goes out by itself, from the bytes that all streams share, and so
/// does the rest of a frame for which the socket had no room: a slow stream holds no copies.
package struct ReplayWriter {
    private struct Item {
        /// Where it ends in the gathered bytes.
        let end: Int
        let length: Int
        /// `.zero` if it carries none.
        let id: EventID
        /// The frame's own bytes; nil for lines of the gateway's own.
        let shared: ByteBuffer?
    }

    /// What a socket that was full left: the rest of the frame that was begun, or is next, and how much is out with it.
    package struct Cut {
        package let rest: ByteBuffer
        package let highest: EventID
        package let count: Int
    }

    private static let gatheredMax = 64 << 10
    /// From this size on a frame is not copied.
    private static let sharedMin = 16 << 10
    /// A rest that is smaller is copied: what it would keep in memory is larger than it is worth.
    private static let restSharedMin = 4 << 10

    private let wire: StreamWire
    private var items: [Item] = []
    package private(set) var bytes = ByteBuffer()
    package private(set) var highest = EventID.zero

    package init(wire: StreamWire) {
        self.wire = wire
    }

    package var isEmpty: Bool { items.isEmpty }
    package var count: Int { items.count }

    /// Whether a frame may be added before what was gathered has gone out.
    package func hasRoom(for frame: Frame) -> Bool {
        if items.isEmpty { return true }
        let length = wire.range(of: frame).count
        return length < ReplayWriter.sharedMin && bytes.readableBytes + length <= ReplayWriter.gatheredMax
    }

    package mutating func append(_ entry: LogSegment.Entry, of segment: LogSegment) {
        let range = wire.range(of: entry.frame)
        guard let frame = segment.buffer.getSlice(at: range.lowerBound, length: range.count) else { return }
        if items.isEmpty, range.count >= ReplayWriter.sharedMin {
            bytes = frame
        } else {
            bytes.writeImmutableBuffer(frame)
        }
        add(entry.id, shared: frame)
    }

    /// Lines of the gateway's own.
    package mutating func append(lines: String, id: EventID?) {
        wire.append(lines: lines, to: &bytes)
        add(id ?? .zero, shared: nil)
    }

    private mutating func add(_ id: EventID, shared: ByteBuffer?) {
        highest = max(highest, id)
        let begin = items.last?.end ?? 0
        items.append(
            Item(end: bytes.readableBytes, length: bytes.readableBytes - begin, id: id, shared: shared))
    }

    package mutating func clear() {
        items.removeAll(keepingCapacity: true)
        // What was shared is let go of.
        bytes = ByteBuffer()
        highest = .zero
    }

    /// - Parameter sent: how many bytes the socket took, not all.
    package func cut(after sent: Int) -> Cut {
        var highest = EventID.zero
        for (index, item) in items.enumerated() {
            highest = max(highest, item.id)
            guard item.end > sent else { continue }
            return Cut(rest: rest(of: item, after: sent), highest: highest, count: index + 1)
        }
        preconditionFailure("all was sent")
    }

    private func rest(of item: Item, after sent: Int) -> ByteBuffer {
        let source = item.shared ?? bytes
        // What was gathered up to the item's end, or the frame alone: both end where the item does.
        let end = item.shared.map(\.writerIndex) ?? (bytes.readerIndex + item.end)
        let length = min(item.end - sent, item.length)
        guard let rest = source.getSlice(at: end - length, length: length) else { return ByteBuffer() }
        return length < ReplayWriter.restSharedMin ? ByteBuffer(bytes: rest.readableBytesView) : rest
    }
}
