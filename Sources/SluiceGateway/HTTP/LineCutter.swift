// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Finds the lines of a body, in as many steps as its caller likes. Blank ones are no lines.
struct LineCutter {
    private(set) var position = 0

    /// The next line, without the white space before it.
    ///
    /// - Parameters:
    ///   - bytes: the whole body, the same at each call.
    ///   - budget: how many bytes may still be looked at; what was is taken off.
    /// - Returns: nil if there is none within the budget, or none at all: then ``position`` is at the body's end.
    mutating func next(_ bytes: UnsafeRawBufferPointer, budget: inout Int) -> Range<Int>? {
        while position < bytes.count, budget > 0 {
            budget -= 1
            switch bytes[position] {
            case 0x0A, 0x0D, 0x20, 0x09: position += 1
            default: return line(bytes, &budget)
            }
        }
        return nil
    }

    private mutating func line(_ bytes: UnsafeRawBufferPointer, _ budget: inout Int) -> Range<Int>? {
        guard let base = bytes.baseAddress else { return nil }
        let start = position
        let found = memchr(base + start, 0x0A, bytes.count - start)
        let end = found.map { UnsafeRawPointer($0) - base } ?? bytes.count
        position = min(bytes.count, end + 1)
        // A search costs far less than a byte that is looked at by itself.
        budget -= (end - start) / 16
        return start..<end
    }
}
