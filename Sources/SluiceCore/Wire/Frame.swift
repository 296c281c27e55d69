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
        id: EventID?, type: String?, data: UnsafeRawBufferPointer, to buffer: inout ByteBuffer
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
        id: EventID?, type: String?, valid data: UnsafeBufferPointer<UInt8>, to buffer: inout ByteBuffer
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

    /// Appends a copy of a frame that lies in another buffer.
    ///
    /// - Parameter id: the id that the frame carries and that the copy is to have no more; nil: the copy is the same.
    package static func append(
        copyOf frame: Frame, in source: ByteBuffer, withoutID id: EventID?, to buffer: inout ByteBuffer
    ) -> Frame {
        source.withUnsafeReadableBytes { bytes in
            guard let id else {
                let start = buffer.writerIndex
                buffer.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[frame.chunk]))
                return Frame(start: start, end: buffer.writerIndex, headerLength: frame.headerLength)
            }
            let block = UnsafeRawBufferPointer(rebasing: bytes[frame.block].dropFirst("id: \(id)\n".utf8.count))
            return chunk(length: block.count, in: &buffer) { $0.writeBytes(block) }
        }
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
