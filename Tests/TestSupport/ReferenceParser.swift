// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What an `EventSource` makes of one block.
package struct ReceivedEvent: Equatable, Sendable {
    package let type: String
    package let data: String
    /// The last event id at that moment, of this block or of an earlier one.
    package let id: String

    package init(type: String, data: String, id: String) {
        self.type = type
        self.data = data
        self.id = id
    }
}

/// WHATWG HTML, "Interpreting an event stream", written from the text of the standard and not from the gateway's encoder.
package struct ReferenceParser: Sendable {
    private var bytes: [UInt8] = []
    private var isAtStart = true
    /// The last line ended with CR: a LF that follows belongs to it.
    private var isAfterReturn = false
    private var data: [UInt8] = []
    private var hasData = false
    private var type = ""
    private var idBuffer: String

    /// The string that a reconnect sends.
    package private(set) var lastEventID: String
    /// The values of all `retry:` lines.
    package private(set) var retries: [Int] = []
    package private(set) var comments = 0
    /// Names of fields that the standard does not know, and values it ignores. The gateway must send none.
    package private(set) var ignored: [String] = []

    /// - Parameter lastEventID: of the connection before.
    package init(lastEventID: String = "") {
        self.lastEventID = lastEventID
        self.idBuffer = lastEventID
    }

    /// Something that is not yet an event would be lost if the stream ended now.
    package var isInsideBlock: Bool { hasData || !type.isEmpty || !bytes.isEmpty }

    package mutating func feed(_ more: [UInt8]) -> [ReceivedEvent] {
        bytes += more
        if isAtStart {
            let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
            if bytes.count < 3, mark.starts(with: bytes) { return [] }
            if bytes.starts(with: mark) { bytes.removeFirst(3) }
            isAtStart = false
        }
        var events: [ReceivedEvent] = []
        var start = 0
        while start < bytes.count {
            if isAfterReturn {
                isAfterReturn = false
                if bytes[start] == 10 {
                    start += 1
                    continue
                }
            }
            guard let end = lineEnd(from: start) else { break }
            isAfterReturn = bytes[end] == 13
            if let event = line(bytes[start..<end]) { events.append(event) }
            start = end + 1
        }
        bytes.removeFirst(start)
        return events
    }

    private func lineEnd(from start: Int) -> Int? {
        bytes.withUnsafeBytes { raw in
            guard let base = raw.baseAddress else { return nil }
            let feed = memchr(base + start, 10, raw.count - start).map { UnsafeRawPointer($0) - base }
            let carriage = memchr(base + start, 13, (feed ?? raw.count) - start).map { UnsafeRawPointer($0) - base }
            return carriage ?? feed
        }
    }

    private mutating func line(_ line: ArraySlice<UInt8>) -> ReceivedEvent? {
        if line.isEmpty { return dispatch() }
        guard let colon = line.prefix(64).firstIndex(of: UInt8(ascii: ":")) else {
            field(String(decoding: line, as: UTF8.self), line[line.endIndex...])
            return nil
        }
        if colon == line.startIndex {
            comments += 1
            return nil
        }
        var value = line[(colon + 1)...]
        if value.first == UInt8(ascii: " ") { value = value.dropFirst() }
        field(String(decoding: line[..<colon], as: UTF8.self), value)
        return nil
    }

    private mutating func field(_ name: String, _ value: ArraySlice<UInt8>) {
        switch name {
        case "data":
            hasData = true
            data += value
            data.append(10)
        case "event": type = String(decoding: value, as: UTF8.self)
        case "id":
            if value.contains(0) {
                ignored.append("id with NUL")
            } else {
                idBuffer = String(decoding: value, as: UTF8.self)
            }
        case "retry":
            if !value.isEmpty, value.allSatisfy({ (0x30...0x39).contains($0) }),
                let retry = Int(String(decoding: value, as: UTF8.self))
            {
                retries.append(retry)
            } else {
                ignored.append("retry: \(String(decoding: value, as: UTF8.self))")
            }
        default: ignored.append(name)
        }
    }

    private mutating func dispatch() -> ReceivedEvent? {
        lastEventID = idBuffer
        defer {
            data = []
            hasData = false
            type = ""
        }
        guard hasData else { return nil }
        data.removeLast()
        return ReceivedEvent(
            type: type.isEmpty ? "message" : type, data: String(decoding: data, as: UTF8.self), id: lastEventID)
    }
}
