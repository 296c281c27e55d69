// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Where the lines of an event's data end: at CRLF, CR and LF (WHATWG HTML, "Server-sent events").
///
/// Each of the two bytes is looked for by itself, with `memchr(3)`, which compares many bytes at once: most data has no
/// line end, and is then read at the speed of memory.
struct LineEnds {
    private let data: UnsafeBufferPointer<UInt8>
    /// The next of each; the data's end if there is none.
    private var nextReturn: Int
    private var nextFeed: Int

    init(of data: UnsafeBufferPointer<UInt8>) {
        self.data = data
        nextReturn = LineEnds.find(UInt8(ascii: "\r"), in: data, from: 0)
        nextFeed = LineEnds.find(UInt8(ascii: "\n"), in: data, from: 0)
    }

    private static func find(_ byte: UInt8, in data: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
        guard start < data.count, let base = data.baseAddress else { return data.count }
        // A call would be dear for data that is nothing but line ends.
        if base[start] == byte { return start }
        guard let found = memchr(base + start, CInt(byte), data.count - start) else { return data.count }
        return UnsafeRawPointer(found) - UnsafeRawPointer(base)
    }

    /// The bytes that end the next line; nil: what is left is the last line.
    mutating func next() -> Range<Int>? {
        let start = min(nextReturn, nextFeed)
        guard start < data.count else { return nil }
        let isReturn = start == nextReturn
        // Where there is no LF the next one is the data's end.
        let isPair = isReturn && nextFeed == start + 1 && nextFeed < data.count
        let end = isPair ? start + 2 : start + 1
        if isReturn { nextReturn = LineEnds.find(UInt8(ascii: "\r"), in: data, from: start + 1) }
        if nextFeed < end { nextFeed = LineEnds.find(UInt8(ascii: "\n"), in: data, from: end) }
        return start..<end
    }

    /// The number of lines in all, and of the bytes that end them.
    func count() -> (lines: Int, breaks: Int) {
        var rest = self
        var lines = 1
        var breaks = 0
        while let end = rest.next() {
            lines += 1
            breaks += end.count
        }
        return (lines, breaks)
    }
}
