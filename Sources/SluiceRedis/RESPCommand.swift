// SPDX-License-Identifier: Apache-2.0
import CHiredis
import NIOCore

/// A command for Redis: its words, formatted by hiredis.
package struct RESPCommand: Sendable, ExpressibleByArrayLiteral {
    package var words: [ByteBuffer]

    package init(words: [ByteBuffer]) {
        self.words = words
    }

    package init(arrayLiteral words: String...) {
        self.words = words.map { ByteBuffer(string: $0) }
    }

    /// - Parameter data: the last word, if it may be any bytes.
    package init(_ words: [String], _ data: ByteBuffer? = nil) {
        self.words = words.map { ByteBuffer(string: $0) }
        if let data { self.words.append(data) }
    }

    package mutating func append(_ word: String) {
        words.append(ByteBuffer(string: word))
    }

    /// Writes the command as Redis reads it.
    package func write(to buffer: inout ByteBuffer) {
        var bytes = ByteBuffer()
        for word in words { bytes.writeImmutableBuffer(word) }
        let lengths = words.map(\.readableBytes)
        bytes.withUnsafeReadableBytes { bytes in
            var offset = 0
            var pointers: [UnsafePointer<CChar>?] = lengths.map { length in
                defer { offset += length }
                return bytes.baseAddress.map { ($0 + offset).assumingMemoryBound(to: CChar.self) }
            }
            var target: UnsafeMutablePointer<CChar>?
            let length = Int(redisFormatCommandArgv(&target, numericCast(words.count), &pointers, lengths))
            guard length >= 0, let target else {
                fatalError("out of memory: redisFormatCommandArgv")  // as every allocation of Swift itself would end
            }
            buffer.writeBytes(UnsafeRawBufferPointer(start: target, count: length))
            redisFreeCommand(target)
        }
    }
}
