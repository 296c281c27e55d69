// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Finds marks in a stream's bytes, also those that lie across two reads. Its state is two words.
struct MarkerScanner {
    /// How much of a mark has been seen; 0: none.
    private var position: UInt8 = 0
    private var sequence: UInt32 = 0
    private var nanoseconds: UInt64 = 0

    /// - Parameter found: is given the sequence number, and the time of sending in nanoseconds since the run began.
    @inline(__always)
    mutating func scan(
        _ bytes: UnsafeRawBufferPointer, run: UInt64, _ found: (UInt32, UInt64) -> Void
    ) {
        guard var next = bytes.baseAddress else { return }
        let end = next + bytes.count
        while position > 0, next < end {
            step(next.load(as: UInt8.self), run: run, found)
            next += 1
        }
        while next < end, let mark = memchr(next, CInt(Marker.delimiter), end - next) {
            next = UnsafeRawPointer(mark)
            if end - next >= Marker.length {
                if let (sequence, nanoseconds) = MarkerScanner.parse(next, run: run) {
                    found(sequence, nanoseconds)
                    next += Marker.length
                } else {
                    next += 1
                }
                continue
            }
            while next < end {
                step(next.load(as: UInt8.self), run: run, found)
                next += 1
            }
        }
    }

    /// A mark that lies in one piece.
    @inline(__always)
    private static func parse(_ mark: UnsafeRawPointer, run: UInt64) -> (UInt32, UInt64)? {
        guard mark.load(fromByteOffset: Marker.length - 1, as: UInt8.self) == Marker.delimiter,
            mark.loadUnaligned(fromByteOffset: 1, as: UInt64.self) == run
        else { return nil }
        var sequence: UInt32 = 0
        var nanoseconds: UInt64 = 0
        var all: UInt8 = 0
        for offset in 9..<17 {
            let digit = Marker.digit(mark.load(fromByteOffset: offset, as: UInt8.self))
            all |= digit
            sequence = sequence << 4 | UInt32(digit)
        }
        for offset in 17..<29 {
            let digit = Marker.digit(mark.load(fromByteOffset: offset, as: UInt8.self))
            all |= digit
            nanoseconds = nanoseconds << 4 | UInt64(digit)
        }
        return all < 16 ? (sequence, nanoseconds) : nil
    }

    /// One byte at a time, for a mark that lies across two reads.
    private mutating func step(_ byte: UInt8, run: UInt64, _ found: (UInt32, UInt64) -> Void) {
        if byte == Marker.delimiter {
            if position == Marker.length - 1 {
                found(sequence, nanoseconds)
                position = 0
            } else {
                (position, sequence, nanoseconds) = (1, 0, 0)
            }
            return
        }
        let digit = Marker.digit(byte)
        switch position {
        case 1..<9 where byte == UInt8(truncatingIfNeeded: run.littleEndian >> (8 * UInt64(position - 1))): break
        case 9..<17 where digit < 16: sequence = sequence << 4 | UInt32(digit)
        case 17..<29 where digit < 16: nanoseconds = nanoseconds << 4 | UInt64(digit)
        default:
            position = 0
            return
        }
        position += 1
    }
}
