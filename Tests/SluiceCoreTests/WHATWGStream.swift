// SPDX-License-Identifier: Apache-2.0

/// An event stream read as WHATWG HTML ("Server-sent events", 9.2.5 and 9.2.6) and Encoding ("UTF-8 decoder") have
/// it, line by line. Written for the tests alone, so that it shares no mistake with the gateway.
struct WHATWGStream {
    struct Event: Equatable {
        var type: String
        var data: [UInt32]
        var lastEventID: String
    }

    private(set) var events: [Event] = []
    private(set) var retry: Int?
    private(set) var comments = 0
    private var data: [UInt32] = []
    private var type = ""
    private var idBuffer = ""
    private var lastEventID = ""

    init(_ bytes: some Sequence<UInt8>) {
        var scalars = WHATWGStream.decodeUTF8(Array(bytes))
        if scalars.first == 0xFEFF { scalars.removeFirst() }
        var line: [UInt32] = []
        var index = 0
        while index < scalars.count {
            let scalar = scalars[index]
            index += 1
            if scalar == 0x0D || scalar == 0x0A {
                if scalar == 0x0D, index < scalars.count, scalars[index] == 0x0A { index += 1 }
                process(line)
                line = []
            } else {
                line.append(scalar)
            }
        }
        // A line, and a block, without an end is discarded.
    }

    private mutating func process(_ line: [UInt32]) {
        guard !line.isEmpty else { return dispatch() }
        guard line[0] != 0x3A else {
            comments += 1
            return
        }
        guard let colon = line.firstIndex(of: 0x3A) else { return field(line, []) }
        var value = line[(colon + 1)...]
        if value.first == 0x20 { value = value.dropFirst() }
        field(Array(line[..<colon]), Array(value))
    }

    private mutating func field(_ name: [UInt32], _ value: [UInt32]) {
        switch WHATWGStream.string(name) {
        case "event": type = WHATWGStream.string(value)
        case "data":
            data += value
            data.append(0x0A)
        case "id":
            if !value.contains(0) { idBuffer = WHATWGStream.string(value) }
        case "retry":
            if value.allSatisfy({ (0x30...0x39).contains($0) }) { retry = Int(WHATWGStream.string(value)) }
        default: break
        }
    }

    private mutating func dispatch() {
        lastEventID = idBuffer
        if data.isEmpty {
            type = ""
            return
        }
        if data.last == 0x0A { data.removeLast() }
        events.append(Event(type: type.isEmpty ? "message" : type, data: data, lastEventID: lastEventID))
        data = []
        type = ""
    }

    private static func string(_ scalars: [UInt32]) -> String {
        var text = ""
        for scalar in scalars { text.unicodeScalars.append(Unicode.Scalar(scalar) ?? "\u{FFFD}") }
        return text
    }

    /// The data that a subscriber should see: line ends of any kind are one LF each.
    static func linesNormalised(_ scalars: [UInt32]) -> [UInt32] {
        var result: [UInt32] = []
        var previous: UInt32 = 0
        for scalar in scalars {
            if scalar == 0x0D {
                result.append(0x0A)
            } else if scalar != 0x0A || previous != 0x0D {
                result.append(scalar)
            }
            previous = scalar
        }
        return result
    }

    static func decodeUTF8(_ bytes: [UInt8]) -> [UInt32] {
        var result: [UInt32] = []
        var point: UInt32 = 0
        var needed = 0
        var seen = 0
        var lower: UInt8 = 0x80
        var upper: UInt8 = 0xBF
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            if needed == 0 {
                switch byte {
                case 0x00...0x7F: result.append(UInt32(byte))
                case 0xC2...0xDF: (needed, point) = (1, UInt32(byte & 0x1F))
                case 0xE0...0xEF:
                    if byte == 0xE0 { lower = 0xA0 }
                    if byte == 0xED { upper = 0x9F }
                    (needed, point) = (2, UInt32(byte & 0xF))
                case 0xF0...0xF4:
                    if byte == 0xF0 { lower = 0x90 }
                    if byte == 0xF4 { upper = 0x8F }
                    (needed, point) = (3, UInt32(byte & 0x7))
                default: result.append(0xFFFD)
                }
                continue
            }
            let isContinuation = (lower...upper).contains(byte)
            (lower, upper) = (0x80, 0xBF)
            if isContinuation {
                point = point << 6 | UInt32(byte & 0x3F)
                seen += 1
                if seen < needed { continue }
                result.append(point)
            } else {
                result.append(0xFFFD)
                index -= 1
            }
            (point, needed, seen) = (0, 0, 0)
        }
        if needed > 0 { result.append(0xFFFD) }
        return result
    }
}
