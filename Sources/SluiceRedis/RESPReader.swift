// SPDX-License-Identifier: Apache-2.0
import CHiredis

/// Redis broke its protocol, or sent more in one piece than we are willing to hold.
package enum RESPError: Error, Equatable {
    case malformed(String)
    case tooLarge
}

/// Bytes in, replies out: hiredis' reader (0.14 and 1.x), nothing of its I/O.
///
/// After an error the reader is dead: a new connection needs a new one.
package final class RESPReader {
    /// hiredis moves the rest of its buffer down each time it is fed, so large reads are fed in slices.
    private static let sliceBytes = 16 * 1024

    private let reader: UnsafeMutablePointer<redisReader>
    private let replyBytesMax: Int
    private var bytesSinceReply = 0

    /// - Parameter replyBytesMax: more than this without a complete reply is an error, because hiredis has no cap of its own.
    package init(replyBytesMax: Int) {
        guard let reader = redisReaderCreate() else {
            fatalError("out of memory: redisReaderCreate")  // as every allocation of Swift itself would end
        }
        self.reader = reader
        self.replyBytesMax = replyBytesMax
        ReplyFunctions.bound(reader, replyBytesMax: replyBytesMax)
    }

    deinit {
        redisReaderFree(reader)
    }

    /// Feeds `bytes` and hands each reply that is complete to `body`. The reply is valid during the call only.
    package func read(_ bytes: UnsafeRawBufferPointer, _ body: (borrowing RESPReply) -> Void) throws(RESPError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let slice = UnsafeRawBufferPointer(rebasing: rest.prefix(RESPReader.sliceBytes))
            rest = rest.dropFirst(slice.count)
            redisReaderFeed(reader, slice.baseAddress?.assumingMemoryBound(to: CChar.self), slice.count)
            bytesSinceReply += slice.count
            while let reply = try next() {
                bytesSinceReply = 0
                body(reply)
            }
            if bytesSinceReply > replyBytesMax { throw .tooLarge }
        }
    }

    private func next() throws(RESPError) -> RESPReply? {
        var pointer: UnsafeMutableRawPointer?
        guard redisReaderGetReply(reader, &pointer) == REDIS_OK else {
            let text = withUnsafeBytes(of: reader.pointee.errstr) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            throw .malformed(text)
        }
        guard let pointer else { return nil }
        return RESPReply(owning: pointer.assumingMemoryBound(to: redisReply.self))
    }
}
