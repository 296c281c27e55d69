// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// The mark inside each payload, by which a stream recognises a message of this run:
///
///     ~ <run: 8 hex> <sequence: 8 hex> <nanoseconds since the run began: 12 hex> ~
///
/// Thirty characters that JSON, forms, URLs and event streams carry unchanged. Its run tells it from what an earlier
/// run left in a log; `~` is nowhere else in it, so that a broken one can't hide the next.
package struct Marker: Sendable {
    package static let length = 30
    static let delimiter = UInt8(ascii: "~")

    /// The eight digits of the run, as they lie in memory.
    let run: UInt64
    /// The run's beginning.
    let start: NIODeadline

    init(run: UInt32 = .random(in: 0...(.max)), start: NIODeadline = .now()) {
        self.run = Marker.hex(UInt64(run), digits: 8).withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
        self.start = start
    }

    /// Writes the mark, and filler up to `size`.
    func write(sequence: UInt32, sentAt now: NIODeadline, size: Int, to buffer: inout ByteBuffer) {
        buffer.writeInteger(Marker.delimiter)
        withUnsafeBytes(of: run) { _ = buffer.writeBytes($0) }
        buffer.writeBytes(Marker.hex(UInt64(sequence), digits: 8))
        buffer.writeBytes(Marker.hex(UInt64(max(0, (now - start).nanoseconds)), digits: 12))
        buffer.writeInteger(Marker.delimiter)
        buffer.writeRepeatingByte(UInt8(ascii: "x"), count: max(0, size - Marker.length))
    }

    /// The lowest digits of a number.
    static func hex(_ value: UInt64, digits: Int) -> [UInt8] {
        (0..<digits).map { index in
            let digit = UInt8(truncatingIfNeeded: value >> UInt64(4 * (digits - 1 - index))) & 15
            return digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
        }
    }

    /// 0 to 15; anything else is no digit.
    @inline(__always)
    static func digit(_ byte: UInt8) -> UInt8 {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        default: 16
        }
    }
}
