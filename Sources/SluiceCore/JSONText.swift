// SPDX-License-Identifier: Apache-2.0

/// JSON (RFC 8259) where the text itself matters: the value of `data` goes out as it stands in the request, byte for
/// byte, which a decoder into values can't give.
package enum JSONText {
    package enum Value: Equatable, Sendable {
        case string(String)
        case bool(Bool)
        /// As it is written.
        case number(Substring)
        case null
        case array([Member])
        case object
    }

    /// A value and the text it was read from, without the white space around it.
    package struct Member: Equatable, Sendable {
        package let value: Value
        package let text: Substring
    }

    package struct Malformed: Error, Equatable, CustomStringConvertible {
        package let description: String
    }

    /// Parses a text that must be one object.
    ///
    /// Strict: no duplicate names, no lone surrogates, no control characters in strings, at most 64 levels.
    package static func object(_ text: String) throws(Malformed) -> [ExactText: Member] {
        var parser = Parser(text: text)
        let members = try parser.object(depth: 0)
        parser.skipSpace()
        guard parser.isAtEnd else { throw parser.malformed("there is something behind the object") }
        return members
    }

    /// A JSON string.
    package static func quoted(_ text: some StringProtocol) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20:
                let hex = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

private struct Parser {
    private static let depthMax = 64

    private let utf8: Substring.UTF8View
    private let text: String
    private var index: String.Index

    init(text: String) {
        self.text = text
        self.utf8 = text[...].utf8
        self.index = utf8.startIndex
    }

    var isAtEnd: Bool { index == utf8.endIndex }

    func malformed(_ problem: String) -> JSONText.Malformed {
        JSONText.Malformed(
            description: "\(problem), at byte \(utf8.distance(from: utf8.startIndex, to: index))")
    }

    private var next: UInt8? { isAtEnd ? nil : utf8[index] }

    private mutating func advance() {
        index = utf8.index(after: index)
    }

    mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { advance() }
    }

    private mutating func take(_ byte: Unicode.Scalar) -> Bool {
        guard next == UInt8(ascii: byte) else { return false }
        advance()
        return true
    }

    mutating func object(depth: Int) throws(JSONText.Malformed) -> [ExactText: JSONText.Member] {
        skipSpace()
        guard take("{") else { throw malformed("an object is expected") }
        var members: [ExactText: JSONText.Member] = [:]
        skipSpace()
        if take("}") { return members }
        while true {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw malformed("a name in quotes is expected") }
            let name = ExactText(try string())
            guard members[name] == nil else { throw malformed("\"\(name.text)\" is there twice") }
            skipSpace()
            guard take(":") else { throw malformed("a colon is expected") }
            members[name] = try member(depth: depth + 1)
            skipSpace()
            if take("}") { return members }
            guard take(",") else { throw malformed("a comma or the object's end is expected") }
        }
    }

    private mutating func member(depth: Int) throws(JSONText.Malformed) -> JSONText.Member {
        skipSpace()
        let start = index
        let value = try value(depth: depth)
        return JSONText.Member(value: value, text: text[start..<index])
    }

    private mutating func value(depth: Int) throws(JSONText.Malformed) -> JSONText.Value {
        guard depth <= Parser.depthMax else { throw malformed("nested too deeply") }
        switch next {
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "{"):
            _ = try object(depth: depth)
            return .object
        case UInt8(ascii: "["): return .array(try array(depth: depth))
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return .number(try number())
        }
    }

    private mutating func word(_ word: String, _ value: JSONText.Value) throws(JSONText.Malformed) -> JSONText.Value {
        for byte in word.utf8 {
            guard next == byte else { throw malformed("a value is expected") }
            advance()
        }
        return value
    }

    private mutating func array(depth: Int) throws(JSONText.Malformed) -> [JSONText.Member] {
        advance()
        var elements: [JSONText.Member] = []
        skipSpace()
        if take("]") { return elements }
        while true {
            elements.append(try member(depth: depth + 1))
            skipSpace()
            if take("]") { return elements }
            guard take(",") else { throw malformed("a comma or the array's end is expected") }
        }
    }

    private mutating func number() throws(JSONText.Malformed) -> Substring {
        let start = index
        _ = take("-")
        if !take("0") { try digits() }
        if take(".") { try digits() }
        if take("e") || take("E") {
            if !take("+") { _ = take("-") }
            try digits()
        }
        return text[start..<index]
    }

    private mutating func digits() throws(JSONText.Malformed) {
        var count = 0
        while let byte = next, (0x30...0x39).contains(byte) {
            advance()
            count += 1
        }
        guard count > 0 else { throw malformed("a value is expected") }
    }

    private mutating func string() throws(JSONText.Malformed) -> String {
        advance()
        var result = ""
        var start = index
        while let byte = next {
            switch byte {
            case UInt8(ascii: "\""):
                result += text[start..<index]
                advance()
                return result
            case UInt8(ascii: "\\"):
                result += text[start..<index]
                advance()
                result.unicodeScalars.append(try escape())
                start = index
            case 0..<0x20: throw malformed("a control character in a string must be escaped")
            default: advance()
            }
        }
        throw malformed("a string has no end")
    }

    private mutating func escape() throws(JSONText.Malformed) -> Unicode.Scalar {
        guard let byte = next else { throw malformed("a string has no end") }
        advance()
        switch byte {
        case UInt8(ascii: "\""): return "\""
        case UInt8(ascii: "\\"): return "\\"
        case UInt8(ascii: "/"): return "/"
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return try unicodeEscape()
        default: throw malformed("an unknown escape")
        }
    }

    private mutating func unicodeEscape() throws(JSONText.Malformed) -> Unicode.Scalar {
        var code = try fourHexDigits()
        if (0xD800..<0xDC00).contains(code) {
            guard take("\\"), take("u") else { throw malformed("half a surrogate pair") }
            let low = try fourHexDigits()
            guard (0xDC00..<0xE000).contains(low) else { throw malformed("half a surrogate pair") }
            code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
        }
        guard let scalar = Unicode.Scalar(code) else { throw malformed("half a surrogate pair") }
        return scalar
    }

    private mutating func fourHexDigits() throws(JSONText.Malformed) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw malformed("four hexadecimal digits are expected")
            }
            code = code << 4 | UInt32(digit)
            advance()
        }
        return code
    }
}
