// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// Reads an event stream (WHATWG HTML, "Server-sent events", the sections on parsing and interpreting): bytes in, in
/// pieces of any size, events out.
///
/// It does what a browser does, and tells a little more: an event also says whether it brought an id of its own, and
/// comments are handed out. What the standard leaves unbounded is bounded. No I/O, no clock.
package struct EventStreamParser {
    package typealias Event = ServerSentEvent

    package enum Output: Equatable, Sendable {
        case event(Event)
        /// Takes effect at once, also without a blank line after it.
        case retry(milliseconds: Int64)
        case comment(String)
    }

    /// A line, or the data of one event, is longer than we are willing to hold. The parser can't be used any more.
    package struct TooLong: Error, Equatable, CustomStringConvertible {
        package let bytesMax: Int

        package init(bytesMax: Int) {
            self.bytesMax = bytesMax
        }

        package var description: String { "a line or an event of more than \(bytesMax) bytes" }
    }

    private let bytesMax: Int
    /// The part of a line whose end has not come yet.
    private var partialLine = ByteBuffer()
    /// A CR ended the last line: a LF that comes now belongs to it.
    private var isAfterReturn = false
    private var isFirstLine = true

    private var data: [UInt8] = []
    private var type = ""
    private var ownID: String?
    /// The standard's "last event ID buffer".
    private var pendingID: String
    /// What a client that reconnects now has to send; empty: nothing. Moves with a blank line only.
    package private(set) var lastEventID: String

    /// - Parameters:
    ///   - lastEventID: the cursor that the request for this stream carried.
    ///   - bytesMax: for a line, and for the data of one event.
    package init(lastEventID: String = "", bytesMax: Int = 16 * 1024 * 1024) {
        self.lastEventID = lastEventID
        self.pendingID = lastEventID
        self.bytesMax = bytesMax
    }

    package mutating func read(_ buffer: ByteBuffer, _ body: (Output) -> Void) throws(TooLong) {
        try buffer.withUnsafeReadableBytes { bytes throws(TooLong) in try read(bytes, body) }
    }

    /// Takes the next bytes and hands out what they complete.
    package mutating func read(_ bytes: UnsafeRawBufferPointer, _ body: (Output) -> Void) throws(TooLong) {
        var rest = bytes[...]
        while let first = rest.first {
            if isAfterReturn {
                isAfterReturn = false
                if first == UInt8(ascii: "\n") {
                    rest.removeFirst()
                    continue
                }
            }
            guard let end = rest.firstIndex(where: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }) else {
                guard partialLine.readableBytes + rest.count <= bytesMax else { throw TooLong(bytesMax: bytesMax) }
                partialLine.writeBytes(rest)
                return
            }
            isAfterReturn = rest[end] == UInt8(ascii: "\r")
            try finishLine(with: UnsafeRawBufferPointer(rebasing: rest[..<end]), body)
            rest = rest[(end + 1)...]
        }
    }

    /// The stream is over: what no blank line has ended is thrown away, as the standard says. The parser is ready for
    /// the stream of the next connection, with the cursor that it has reached.
    package mutating func end() {
        self = EventStreamParser(lastEventID: lastEventID, bytesMax: bytesMax)
    }

    private mutating func finishLine(
        with bytes: UnsafeRawBufferPointer, _ body: (Output) -> Void
    ) throws(TooLong) {
        guard partialLine.readableBytes + bytes.count <= bytesMax else { throw TooLong(bytesMax: bytesMax) }
        if partialLine.readableBytes == 0 { return try line(bytes, body) }
        var whole = ByteBuffer()
        swap(&whole, &partialLine)
        whole.writeBytes(bytes)
        try whole.withUnsafeReadableBytes { bytes throws(TooLong) in try line(bytes, body) }
    }

    private mutating func line(_ whole: UnsafeRawBufferPointer, _ body: (Output) -> Void) throws(TooLong) {
        var line = whole[...]
        if isFirstLine {
            isFirstLine = false
            if line.starts(with: [0xEF, 0xBB, 0xBF]) { line = line.dropFirst(3) }
        }
        if line.isEmpty { return dispatch(body) }
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return try field(line, value: [], body) }
        var value = line[(colon + 1)...]
        if colon == line.startIndex { return body(.comment(String(decoding: value, as: UTF8.self))) }
        if value.first == UInt8(ascii: " ") { value = value.dropFirst() }
        try field(line[..<colon], value: value, body)
    }

    private mutating func field(
        _ name: Slice<UnsafeRawBufferPointer>, value: some Collection<UInt8>, _ body: (Output) -> Void
    ) throws(TooLong) {
        if name.elementsEqual("data".utf8) {
            guard data.count + value.count <= bytesMax else { throw TooLong(bytesMax: bytesMax) }
            data.append(contentsOf: value)
            data.append(UInt8(ascii: "\n"))
        } else if name.elementsEqual("event".utf8) {
            type = String(decoding: value, as: UTF8.self)
        } else if name.elementsEqual("id".utf8) {
            guard !value.contains(0) else { return }
            let id = String(decoding: value, as: UTF8.self)
            ownID = id
            pendingID = id
        } else if name.elementsEqual("retry".utf8), let milliseconds = EventStreamParser.number(value) {
            body(.retry(milliseconds: milliseconds))
        }
    }

    /// Decimal digits and nothing else; what does not fit is as good as the largest number.
    private static func number(_ digits: some Collection<UInt8>) -> Int64? {
        guard !digits.isEmpty, digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            return nil
        }
        return Int64(String(decoding: digits, as: UTF8.self)) ?? .max
    }

    private mutating func dispatch(_ body: (Output) -> Void) {
        lastEventID = pendingID
        defer {
            data.removeAll(keepingCapacity: data.count < 64 * 1024)
            type = ""
            ownID = nil
        }
        guard !data.isEmpty else { return }
        let text = String(decoding: data.dropLast(), as: UTF8.self)
        body(.event(Event(type: type.isEmpty ? "message" : type, data: text, id: ownID, lastEventID: lastEventID)))
    }
}
