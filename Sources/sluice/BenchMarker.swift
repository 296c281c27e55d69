// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOCore

/// What the load generator writes into each message, so that it knows it again: 34 bytes of plain ASCII that no JSON
/// encoder touches, `~`, 8 hexadecimal digits of the run, 8 of the sequence number, 16 of the time, `~`.
struct BenchMarker: Equatable, Sendable {
    static let length = 34

    /// Tells this run's messages from those of an earlier one that a log replays.
    var run: UInt32
    /// From 1 on.
    var sequence: UInt32
    /// When it was sent, in nanoseconds of the monotonic clock.
    var nanoseconds: UInt64

    fileprivate static let delimiter = UInt8(ascii: "~")

    func write(to buffer: inout ByteBuffer) {
        buffer.writeInteger(BenchMarker.delimiter)
        BenchMarker.writeHex(UInt64(run) << 32 | UInt64(sequence), to: &buffer)
        BenchMarker.writeHex(nanoseconds, to: &buffer)
        buffer.writeInteger(BenchMarker.delimiter)
    }

    private static func writeHex(_ value: UInt64, to buffer: inout ByteBuffer) {
        for shift in stride(from: 60, through: 0, by: -4) {
            let digit = UInt8(truncatingIfNeeded: value >> UInt64(shift)) & 15
            buffer.writeInteger(digit < 10 ? digit + UInt8(ascii: "0") : digit - 10 + UInt8(ascii: "a"))
        }
    }
}

/// Finds markers in bytes that are cut anywhere. Keeps no bytes, only what it has read of the marker at hand.
struct BenchMarkerScanner {
    private var high: UInt64 = 0
    private var low: UInt64 = 0
    /// How many bytes of a marker were read; 0 outside of one.
    private var position: UInt8 = 0

    mutating func scan(_ bytes: UnsafeRawBufferPointer, _ found: (BenchMarker) -> Void) {
        guard let start = bytes.baseAddress else { return }
        var index = 0
        let count = bytes.count
        while index < count {
            if position == 0 {
                guard let hit = memchr(start + index, Int32(BenchMarker.delimiter), count - index) else { return }
                index = UnsafeRawPointer(hit) - start + 1
                if let marker = BenchMarkerScanner.whole(bytes, from: index) {
                    found(marker)
                    index += BenchMarker.length - 1
                } else {
                    position = 1
                }
                continue
            }
            let byte = bytes[index]
            index += 1
            if position <= 32, let digit = BenchMarkerScanner.hexDigit(byte) {
                high = high << 4 | low >> 60
                low = low << 4 | digit
                position += 1
            } else if byte == BenchMarker.delimiter {
                if position == 33 {
                    found(
                        BenchMarker(
                            run: UInt32(truncatingIfNeeded: high >> 32), sequence: UInt32(truncatingIfNeeded: high),
                            nanoseconds: low))
                    position = 0
                } else {
                    position = 1
                }
            } else {
                position = 0
            }
        }
    }

    /// A marker that lies in the bytes in one piece, as nearly all do: its digits eight at a time. That they are digits
    /// is not asked: the number of the run, which the caller compares, is check enough.
    private static func whole(_ bytes: UnsafeRawBufferPointer, from index: Int) -> BenchMarker? {
        guard bytes.count - index >= BenchMarker.length - 1, bytes[index + 32] == BenchMarker.delimiter else {
            return nil
        }
        func digits(_ offset: Int) -> UInt32 {
            let text = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: index + offset, as: UInt64.self))
            // The low half of a digit's byte is its value, and of a letter's, 9 less; then the halves close up.
            var value = (text & 0x0F0F_0F0F_0F0F_0F0F) + 9 * (text >> 6 & 0x0101_0101_0101_0101)
            value = (value | value >> 4) & 0x00FF_00FF_00FF_00FF
            value = (value | value >> 8) & 0x0000_FFFF_0000_FFFF
            return UInt32(truncatingIfNeeded: value | value >> 16)
        }
        return BenchMarker(
            run: digits(0), sequence: digits(8), nanoseconds: UInt64(digits(16)) << 32 | UInt64(digits(24)))
    }

    private static func hexDigit(_ byte: UInt8) -> UInt64? {
        let number = byte &- UInt8(ascii: "0")
        if number < 10 { return UInt64(number) }
        let letter = byte &- UInt8(ascii: "a")
        return letter < 6 ? UInt64(letter) + 10 : nil
    }
}
