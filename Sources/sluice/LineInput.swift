// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOCore
import NIOPosix

/// The lines of standard input as they come.
struct LineInput {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private static let readBytes = 64 * 1024

    private let lineBytesMax: Int
    private var rest = ByteBuffer()
    private var isAtEnd = false

    init(lineBytesMax: Int) {
        self.lineBytesMax = lineBytesMax
    }

    /// The lines that one read completes, which may be none; nil at the end. LF and CRLF end a line; a last line
    /// without either counts.
    mutating func next() async throws -> [ByteBuffer]? {
        guard !isAtEnd else { return nil }
        // Reading blocks, so it is done where blocking is allowed.
        var bytes = try await NIOThreadPool.singleton.runIfActive { try LineInput.read() }
        isAtEnd = bytes.readableBytes == 0
        rest.writeBuffer(&bytes)
        var lines: [ByteBuffer] = []
        while let end = rest.readableBytesView.firstIndex(of: UInt8(ascii: "\n")),
            let line = rest.readSlice(length: end - rest.readerIndex)
        {
            rest.moveReaderIndex(forwardBy: 1)
            lines.append(LineInput.trimmed(line))
        }
        if isAtEnd, rest.readableBytes > 0 { lines.append(rest) }
        guard rest.readableBytes <= lineBytesMax else {
            throw Failure(description: "a line of standard input is longer than \(lineBytesMax) bytes")
        }
        rest.discardReadBytes()
        return lines
    }

    private static func trimmed(_ line: ByteBuffer) -> ByteBuffer {
        guard line.readableBytesView.last == UInt8(ascii: "\r") else { return line }
        return line.getSlice(at: line.readerIndex, length: line.readableBytes - 1) ?? line
    }

    private static func read() throws -> ByteBuffer {
        var buffer = ByteBuffer()
        try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: readBytes) { bytes in
            while true {
                let count = Glibc.read(STDIN_FILENO, bytes.baseAddress, readBytes)
                if count >= 0 { return count }
                guard errno == EINTR else {
                    throw Failure(description: "can't read standard input: \(String(cString: strerror(errno)))")
                }
            }
        }
        return buffer
    }
}
