// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// The finished bytes of one event: its block of the event stream inside its HTTP/1.1 chunk.
///
/// Made once per node. A chunked stream takes the whole; HTTP/1.0 and HTTP/2 take `block`.
/// The bytes themselves lie in a buffer that many frames share, one after the other.
package struct Frame: Equatable, Sendable {
    /// Where the chunk lies in the buffer.
    package let start: Int
    package let end: Int
    /// Length of the chunk's size line, which precedes the block.
    package let headerLength: Int

    package var chunk: Range<Int> { start..<end }
    /// The block, without the chunk's size line and closing CRLF.
    package var block: Range<Int> { start + headerLength..<end - 2 }

    /// Appends an event (WHATWG HTML, "Server-sent events"): one `data: ` line for each line of the data, split on CRLF, CR
    /// and LF, the last piece kept even if empty, the space always written so that a leading space of the data survives.
    ///
    /// - Parameter type: already checked by ``EventLabel``.
    /// - Returns: the frame, and whether invalid UTF-8 in the data had to be replaced by U+FFFD.
    package static func append(
        id: Cursor?, type: String?, data: UnsafeRawBufferPointer, to buffer: inout ByteBuffer
    ) -> (frame: Frame, repaired: Bool) {
        let bytes = data.bindMemory(to: UInt8.self)
        if (try? UTF8Span(validating: bytes.span)) != nil {
            return (append(id: id, type: type, valid: bytes, to: &buffer), false)
        }
        var text = String(decoding: bytes, as: UTF8.self)
        let frame = text.withUTF8 { append(id: id, type: type, valid: $0, to: &buffer) }
        return (frame, true)
    }

    private static func append(
        id: Cursor?, type: String?, valid data: UnsafeBufferPointer<UInt8>, to buffer: inout ByteBuffer
    ) -> Frame {
        var fields = ""
        if let id { fields += "id: \(id)\n" }
        if let type { fields += "event: \(type)\n" }
        let ends = LineEnds(of: data)
        let (lines, breaks) = ends.count()
        let dataLength = lines * 7 + data.count - breaks
        return chunk(length: fields.utf8.count + dataLength + 1, in: &buffer) { buffer in
            buffer.writeString(fields)
            writeDataLines(data, endedBy: ends, length: dataLength, to: &buffer)
            buffer.writeInteger(UInt8(ascii: "\n"))
        }
    }

    /// What becomes of the line with the id in a copy of a frame.
    package enum IDLine {
        case kept
        case removed
        case replaced(by: Cursor)
    }

    /// Appends a copy of a frame that lies in another buffer and carries an id.
    package static func append(
        copyOf frame: Frame, in source: ByteBuffer, id: IDLine, to buffer: inout ByteBuffer
    ) -> Frame {
        source.withUnsafeReadableBytes { bytes in
            let line: String
            switch id {
            case .kept:
                let start = buffer.writerIndex
                buffer.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[frame.chunk]))
                return Frame(start: start, end: buffer.writerIndex, headerLength: frame.headerLength)
            case .removed: line = ""
            case .replaced(let cursor): line = "id: \(cursor)\n"
            }
            let rest = UnsafeRawBufferPointer(rebasing: bytes[frame.startBehindID(in: bytes)..<frame.block.upperBound])
            return chunk(length: line.utf8.count + rest.count, in: &buffer) {
                $0.writeString(line)
                $0.writeBytes(rest)
            }
        }
    }

    /// Where the block of a frame that carries an id goes on behind that: from here to its end it is the same in every copy.
    func startBehindID(in bytes: UnsafeRawBufferPointer) -> Int {
        let lineEnd = bytes[block].firstIndex(of: UInt8(ascii: "\n"))
        return lineEnd.map { $0 + 1 } ?? block.upperBound
    }

    /// Appends ready-made lines of an event stream as a chunk of their own: a comment, a `retry:` or a control event.
    package static func append(lines: String, to buffer: inout ByteBuffer) -> Frame {
        chunk(length: lines.utf8.count, in: &buffer) { $0.writeString(lines) }
    }

    private static func chunk(length: Int, in buffer: inout ByteBuffer, write: (inout ByteBuffer) -> Void) -> Frame {
        let start = buffer.writerIndex
        buffer.reserveCapacity(minimumWritableBytes: length + 20)
        let headerLength = buffer.writeString(String(length, radix: 16) + "\r\n")
        write(&buffer)
        assert(buffer.writerIndex == start + headerLength + length)
        buffer.writeString("\r\n")
        return Frame(start: start, end: buffer.writerIndex, headerLength: headerLength)
    }

    /// Into room that is there already: a line end costs no more than the bytes it becomes.
    private static func writeDataLines(
        _ data: UnsafeBufferPointer<UInt8>, endedBy ends: LineEnds, length: Int, to buffer: inout ByteBuffer
    ) {
        let label: StaticString = "data: "
        var ends = ends
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: length) { room in
            guard var output = room.baseAddress, let end = room.baseAddress.map({ $0 + length }) else { return 0 }
            var start = 0
            while true {
                let lineEnd = ends.next()
                let count = (lineEnd?.lowerBound ?? data.count) - start
                output.copyMemory(from: label.utf8Start, byteCount: label.utf8CodeUnitCount)
                output += label.utf8CodeUnitCount
                if count > 0, let line = data.baseAddress {
                    output.copyMemory(from: line + start, byteCount: count)
                    output += count
                }
                output.storeBytes(of: UInt8(ascii: "\n"), as: UInt8.self)
                output += 1
                guard let lineEnd else { break }
                start = lineEnd.upperBound
            }
            assert(output == end)
            return length
        }
    }
}
