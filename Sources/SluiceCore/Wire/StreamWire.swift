// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// How the bytes of a stream look on its connection.
package enum StreamWire: Equatable, Sendable {
    /// HTTP/1.1: each frame is a chunk of its own (RFC 9112 §7.1).
    case chunked
    /// The blocks as they are: HTTP/1.0, where the end of the connection is the end of the stream, and HTTP/2, which has
    /// frames of its own.
    case plain

    /// Which of an event's bytes go out.
    package func range(of frame: Frame) -> Range<Int> {
        switch self {
        case .chunked: frame.chunk
        case .plain: frame.block
        }
    }

    /// What a frame that carries an id has in common with its copies, up to its end.
    package func commonRange(of frame: Frame, in buffer: ByteBuffer) -> Range<Int> {
        buffer.withUnsafeReadableBytes { frame.startBehindID(in: $0) }..<range(of: frame).upperBound
    }

    /// Frames that lie side by side in their buffer go out as they lie.
    package var keepsNeighbours: Bool { self == .chunked }

    /// Writes lines of the gateway's own: a comment, a `retry:` or a control event.
    package func append(lines: String, to buffer: inout ByteBuffer) {
        switch self {
        case .chunked: _ = Frame.append(lines: lines, to: &buffer)
        case .plain: buffer.writeString(lines)
        }
    }

    /// Writes the end of the body.
    package func appendEnd(to buffer: inout ByteBuffer) {
        if self == .chunked { buffer.writeStaticString("0\r\n\r\n") }
    }
}
