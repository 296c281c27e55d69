// SPDX-License-Identifier: Apache-2.0

/// Takes a response's body out of its chunks (RFC 9112 §7.1), wherever they are cut; a body without chunks as it is.
struct BenchBody {
    private enum State: UInt8 {
        case plain
        case size
        /// The rest of a size line.
        case sizeEnd
        case payload
        /// The line end behind a chunk.
        case payloadEnd
        case ended
    }

    private var state: State
    private var remaining = 0

    init(isChunked: Bool) {
        state = isChunked ? .size : .plain
    }

    /// The last chunk has come.
    var isEnded: Bool { state == .ended }

    /// The next piece of the body, taken off the front of `bytes`; nil if `bytes` holds no more of it.
    mutating func next(_ bytes: inout Slice<UnsafeRawBufferPointer>) -> UnsafeRawBufferPointer? {
        while let first = bytes.first {
            switch state {
            case .plain:
                defer { bytes = bytes[bytes.endIndex...] }
                return UnsafeRawBufferPointer(rebasing: bytes)
            case .payload:
                let piece = bytes.prefix(remaining)
                remaining -= piece.count
                if remaining == 0 { state = .payloadEnd }
                bytes = bytes[piece.endIndex...]
                return UnsafeRawBufferPointer(rebasing: piece)
            case .size:
                bytes = bytes.dropFirst()
                if let digit = BenchBody.hexDigit(first), remaining < 1 << 40 {
                    remaining = remaining << 4 | digit
                } else if first == UInt8(ascii: "\n") {
                    beginChunk()
                } else {
                    state = .sizeEnd
                }
            case .sizeEnd:
                bytes = bytes.dropFirst()
                if first == UInt8(ascii: "\n") { beginChunk() }
            case .payloadEnd:
                bytes = bytes.dropFirst()
                if first == UInt8(ascii: "\n") { state = .size }
            case .ended: return nil
            }
        }
        return nil
    }

    private mutating func beginChunk() {
        state = remaining == 0 ? .ended : .payload
    }

    private static func hexDigit(_ byte: UInt8) -> Int? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(byte) - 48
        case UInt8(ascii: "a")...UInt8(ascii: "f"): Int(byte) - 87
        case UInt8(ascii: "A")...UInt8(ascii: "F"): Int(byte) - 55
        default: nil
        }
    }
}
