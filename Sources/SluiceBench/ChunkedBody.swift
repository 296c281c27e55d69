// SPDX-License-Identifier: Apache-2.0

/// Takes the chunks of an HTTP/1.1 body apart (RFC 9112 §7.1), in reads of any size: a proxy may cut an event in two, so
/// the marks can be trusted only in what is left. Two words of state.
struct ChunkedBody {
    struct Malformed: Error, Equatable {}

    private enum Phase: UInt8 {
        /// Not chunked: all is body.
        case identity
        case size
        /// What follows the size on its line.
        case sizeRest
        case data
        case dataEnd
        case trailerStart
        case trailer
        case ended
    }

    private var phase: Phase
    private var remaining = 0

    init(isChunked: Bool) {
        phase = isChunked ? .size : .identity
    }

    /// The last chunk was read.
    var isEnded: Bool { phase == .ended }

    /// Hands out the pieces of the body in these bytes.
    @inline(__always)
    mutating func read(_ bytes: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void) throws(Malformed) {
        if phase == .identity { return body(bytes) }
        var index = 0
        while index < bytes.count {
            if phase == .data {
                let count = min(remaining, bytes.count - index)
                body(UnsafeRawBufferPointer(rebasing: bytes[index..<index + count]))
                index += count
                remaining -= count
                if remaining == 0 { phase = .dataEnd }
            } else {
                try step(bytes[index])
                index += 1
            }
        }
    }

    /// One byte between the pieces of data.
    private mutating func step(_ byte: UInt8) throws(Malformed) {
        let isLineEnd = byte == UInt8(ascii: "\n")
        switch phase {
        case .size:
            if let digit = ChunkedBody.digit(byte) {
                guard remaining < 1 << 40 else { throw Malformed() }
                remaining = remaining << 4 | digit
            } else if isLineEnd {
                phase = remaining == 0 ? .trailerStart : .data
            } else if byte == UInt8(ascii: "\r") || byte == UInt8(ascii: ";") || byte == UInt8(ascii: " ") {
                phase = .sizeRest
            } else {
                throw Malformed()
            }
        case .sizeRest:
            if isLineEnd { phase = remaining == 0 ? .trailerStart : .data }
        case .dataEnd:
            if isLineEnd { phase = .size } else if byte != UInt8(ascii: "\r") { throw Malformed() }
        case .trailerStart:
            if isLineEnd { phase = .ended } else if byte != UInt8(ascii: "\r") { phase = .trailer }
        case .trailer:
            if isLineEnd { phase = .trailerStart }
        case .identity, .data, .ended: break
        }
    }

    private static func digit(_ byte: UInt8) -> Int? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): Int(byte - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): Int(byte - UInt8(ascii: "A")) + 10
        default: nil
        }
    }
}
