// SPDX-License-Identifier: Apache-2.0

/// One frame of RFC 9113 §4.1, by hand, so that a test can also make such as are not allowed.
package struct HTTP2Frame: Sendable {
    package enum Kind: UInt8, Sendable {
        case data = 0
        case headers
        case priority
        case rstStream
        case settings
        case pushPromise
        case ping
        case goAway
        case windowUpdate
        case continuation
    }

    package struct Flags: OptionSet, Sendable {
        package let rawValue: UInt8

        package init(rawValue: UInt8) {
            self.rawValue = rawValue
        }

        package static let endStream = Flags(rawValue: 0x1)
        /// Of SETTINGS and PING.
        package static let ack = Flags(rawValue: 0x1)
        package static let endHeaders = Flags(rawValue: 0x4)
    }

    /// RFC 9113 §7.
    package enum Code: UInt32, Sendable {
        case noError = 0
        case protocolError
        case internalError
        case flowControlError
        case settingsTimeout
        case streamClosed
        case frameSizeError
        case refusedStream
        case cancel
        case compressionError
        case connectError
        case enhanceYourCalm
    }

    package static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    /// nil: one that the tests don't know.
    package let kind: Kind?
    package let flags: Flags
    package let stream: Int
    package let payload: [UInt8]

    package init(_ kind: Kind?, flags: Flags = [], stream: Int = 0, _ payload: [UInt8] = []) {
        self.kind = kind
        self.flags = flags
        self.stream = stream
        self.payload = payload
    }

    package static func settings(_ values: [(UInt16, UInt32)]) -> HTTP2Frame {
        HTTP2Frame(.settings, values.flatMap { HTTP2Frame.number($0.0) + HTTP2Frame.number($0.1) })
    }

    package static func windowUpdate(stream: Int, by increment: Int) -> HTTP2Frame {
        HTTP2Frame(.windowUpdate, stream: stream, number(UInt32(increment)))
    }

    package static func reset(stream: Int, _ code: Code) -> HTTP2Frame {
        HTTP2Frame(.rstStream, stream: stream, number(code.rawValue))
    }

    /// The whole header block in one frame.
    package static func headers(
        stream: Int, _ fields: [(String, String)], endStream: Bool = true
    ) -> HTTP2Frame {
        HTTP2Frame(.headers, flags: endStream ? [.endHeaders, .endStream] : .endHeaders, stream: stream, block(fields))
    }

    /// The same for a block that is larger than a frame: what does not fit follows in CONTINUATION.
    package static func longHeaders(stream: Int, _ block: [UInt8]) -> [UInt8] {
        var rest = block[...]
        var bytes: [UInt8] = []
        var kind = Kind.headers
        repeat {
            let part = rest.prefix(16384)
            rest = rest.dropFirst(part.count)
            var flags: Flags = kind == .headers ? .endStream : []
            if rest.isEmpty { flags.formUnion(.endHeaders) }
            bytes += HTTP2Frame(kind, flags: flags, stream: stream, Array(part)).bytes
            kind = .continuation
        } while !rest.isEmpty
        return bytes
    }

    /// A literal field that is put into the table, where its index is 62 then (RFC 7541 §6.2.1).
    package static func indexed(_ name: String, _ value: String) -> [UInt8] {
        [0x40] + literal(name) + literal(value)
    }

    /// Literal fields that are not put into the table, without Huffman's code (RFC 7541 §6.2.2).
    package static func block(_ fields: [(String, String)]) -> [UInt8] {
        fields.flatMap { name, value in [0] + literal(name) + literal(value) }
    }

    private static func literal(_ text: String) -> [UInt8] {
        var count = text.utf8.count
        var bytes: [UInt8] = []
        if count < 127 {
            bytes.append(UInt8(count))
        } else {
            bytes.append(127)
            count -= 127
            while count >= 128 {
                bytes.append(UInt8(count % 128 + 128))
                count /= 128
            }
            bytes.append(UInt8(count))
        }
        return bytes + Array(text.utf8)
    }

    private static func number<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
        withUnsafeBytes(of: number.bigEndian) { Array($0) }
    }

    package var bytes: [UInt8] {
        let count = HTTP2Frame.number(UInt32(payload.count)).dropFirst()
        return count + [kind?.rawValue ?? 0xFF, flags.rawValue] + HTTP2Frame.number(UInt32(stream)) + payload
    }

    /// The first frame of `bytes`, which it takes away; nil if there is no whole one.
    static func take(from bytes: inout ArraySlice<UInt8>) -> HTTP2Frame? {
        let head = bytes.prefix(9)
        guard head.count == 9 else { return nil }
        let count = Int(HTTP2Frame.number(head.prefix(3)))
        guard bytes.count >= 9 + count else { return nil }
        let start = head.startIndex
        let frame = HTTP2Frame(
            Kind(rawValue: head[start + 3]), flags: Flags(rawValue: head[start + 4]),
            stream: Int(HTTP2Frame.number(head.suffix(4)) & 0x7FFF_FFFF),
            Array(bytes[(start + 9)..<(start + 9 + count)]))
        bytes = bytes.dropFirst(9 + count)
        return frame
    }

    /// The number that the first bytes of the payload are.
    package func number(at offset: Int) -> UInt32 {
        HTTP2Frame.number(payload.dropFirst(offset).prefix(4))
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        bytes.reduce(0) { $0 << 8 | UInt32($1) }
    }
}
