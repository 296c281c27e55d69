// SPDX-License-Identifier: Apache-2.0
import CHiredis
import NIOCore

/// One reply in hiredis' memory, freed with this value.
package struct RESPReply: ~Copyable {
    private let pointer: UnsafeMutablePointer<redisReply>

    init(owning pointer: UnsafeMutablePointer<redisReply>) {
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
