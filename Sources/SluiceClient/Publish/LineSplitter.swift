// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// Cuts bytes into lines, bounded in length. A line ends with LF or CRLF.
package struct LineSplitter {
    package struct TooLong: Error, Equatable {
        /// Counted from 1.
        package let line: Int
        package let bytesMax: Int
    }

    private let bytesMax: Int
    private var partial = ByteBuffer()
    private var count = 0

    package init(bytesMax: Int) {
        self.bytesMax = bytesMax
    }

    /// The lines that these bytes complete.
    package mutating func read(_ bytes: some Collection<UInt8>) throws(TooLong) -> [ByteBuffer] {
        var lines: [ByteBuffer] = []
        var rest = bytes[...]
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            partial.writeBytes(rest[..<end])
            rest = rest[rest.index(after: end)...]
            lines.append(try finish())
        }
        partial.writeBytes(rest)
        if partial.readableBytes > bytesMax + 1 { throw TooLong(line: count + 1, bytesMax: bytesMax) }
        return lines
    }

    /// The input is over: a last line may have no end.
    package mutating func end() throws(TooLong) -> ByteBuffer? {
        partial.readableBytes > 0 ? try finish() : nil
    }

    private mutating func finish() throws(TooLong) -> ByteBuffer {
        count += 1
        var line = partial
        partial = ByteBuffer()
        if line.readableBytesView.last == UInt8(ascii: "\r") { line.moveWriterIndex(to: line.writerIndex - 1) }
        guard line.readableBytes <= bytesMax else { throw TooLong(line: count, bytesMax: bytesMax) }
        return line
    }
}
