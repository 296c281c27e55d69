// SPDX-License-Identifier: Apache-2.0
import CHiredis
import NIOCore

/// A reply of Redis, taken out of hiredis' own memory.
package enum RESPValue: Equatable, Sendable {
    case null
    case integer(Int64)
    case status(String)
    case error(String)
    case bulk(ByteBuffer)
    case array([RESPValue])

    package var string: String? {
        switch self {
        case .bulk(let bytes): String(buffer: bytes)
        case .status(let text): text
        default: nil
        }
    }

    package var array: [RESPValue]? {
        if case .array(let values) = self { values } else { nil }
    }
}

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

/// One reply in hiredis' memory, freed with this value.
package struct RESPReply: ~Copyable {
    private let pointer: UnsafeMutablePointer<redisReply>

    fileprivate init(owning pointer: UnsafeMutablePointer<redisReply>) {
        self.pointer = pointer
    }

    deinit {
        freeReplyObject(pointer)
    }

    package var value: RESPValue {
        RESPReply.value(pointer.pointee)
    }

    /// The three parts of what a subscriber is sent: a kind, a channel, and the rest; nil if this is not such a reply.
    package func withPush<Result>(
        _ body: (_ kind: UnsafeRawBufferPointer, _ channel: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer)
            -> Result
    ) -> Result? {
        let reply = pointer.pointee
        guard reply.type == REDIS_REPLY_ARRAY, reply.elements >= 2, let elements = reply.element else { return nil }
        let empty = UnsafeRawBufferPointer(start: nil, count: 0)
        func bytes(_ index: Int) -> UnsafeRawBufferPointer {
            guard index < reply.elements, let element = elements[index], let text = element.pointee.str else {
                return empty
            }
            return UnsafeRawBufferPointer(start: text, count: element.pointee.len)
        }
        return body(bytes(0), bytes(1), bytes(2))
    }

    /// hiredis allows a handful of nested arrays, so the recursion is bounded.
    private static func value(_ reply: redisReply) -> RESPValue {
        switch reply.type {
        case REDIS_REPLY_INTEGER: return .integer(reply.integer)
        case REDIS_REPLY_STRING: return .bulk(ByteBuffer(bytes: bytes(reply)))
        case REDIS_REPLY_STATUS: return .status(String(decoding: bytes(reply), as: UTF8.self))
        case REDIS_REPLY_ERROR: return .error(String(decoding: bytes(reply), as: UTF8.self))
        case REDIS_REPLY_ARRAY:
            let elements = UnsafeBufferPointer(start: reply.element, count: Int(reply.elements))
            return .array(elements.map { $0.map { value($0.pointee) } ?? .null })
        default: return .null
        }
    }

    private static func bytes(_ reply: redisReply) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: reply.str, count: reply.str == nil ? 0 : Int(reply.len))
    }
}

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
