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
        /// What other streams have of the frame, up to its end; nil for lines of the gateway's own.
        let common: ByteBuffer?
    }

    /// What a socket that was full left: the rest of the frame that was begun, or is next, and how much is out with it.
    package struct Stop {
        package let rest: FrameRest
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

    /// - Parameter cursor: in place of the event's id.
    package mutating func append(_ entry: LogSegment.Entry, of segment: LogSegment, cursor: Cursor? = nil) {
        if let cursor { return append(entry, of: segment, as: cursor) }
        let range = wire.range(of: entry.frame)
        guard let frame = segment.buffer.getSlice(at: range.lowerBound, length: range.count) else { return }
        if items.isEmpty, range.count >= ReplayWriter.sharedMin {
            bytes = frame
        } else {
            bytes.writeImmutableBuffer(frame)
        }
        add(entry.id, common: frame)
    }

    private mutating func append(_ entry: LogSegment.Entry, of segment: LogSegment, as cursor: Cursor) {
        var own = ByteBuffer()
        let frame = Frame.append(copyOf: entry.frame, in: segment.buffer, id: .replaced(by: cursor), to: &own)
        let range = wire.range(of: frame)
        bytes.writeBytes(own.viewBytes(at: range.lowerBound, length: range.count) ?? own.readableBytesView)
        let common = wire.commonRange(of: entry.frame, in: segment.buffer)
        add(entry.id, common: segment.buffer.getSlice(at: common.lowerBound, length: common.count))
    }

    /// Lines of the gateway's own.
    package mutating func append(lines: String, id: EventID?) {
        wire.append(lines: lines, to: &bytes)
        add(id ?? .zero, common: nil)
    }

    private mutating func add(_ id: EventID, common: ByteBuffer?) {
        highest = max(highest, id)
        let begin = items.last?.end ?? 0
        items.append(
            Item(end: bytes.readableBytes, length: bytes.readableBytes - begin, id: id, common: common))
    }

    package mutating func clear() {
        items.removeAll(keepingCapacity: true)
        // What was shared is let go of.
        bytes = ByteBuffer()
        highest = .zero
    }

    /// - Parameter sent: how many bytes the socket took, not all.
    package func cut(after sent: Int) -> Stop {
        var highest = EventID.zero
        for (index, item) in items.enumerated() {
            highest = max(highest, item.id)
            guard item.end > sent else { continue }
            return Stop(rest: rest(of: item, after: sent), highest: highest, count: index + 1)
        }
        preconditionFailure("all was sent")
    }

    private func rest(of item: Item, after sent: Int) -> FrameRest {
        let length = min(item.end - sent, item.length)
        let rest = bytes.getSlice(at: bytes.readerIndex + item.end - length, length: length)
        return FrameRest(rest ?? ByteBuffer(), common: item.common, sharedMin: ReplayWriter.restSharedMin)
    }
}
