// SPDX-License-Identifier: Apache-2.0

/// Takes one JSON object (RFC 8259) apart, in as many steps as its reader likes, and builds nothing of it.
///
/// Strict: UTF-8, no duplicate names, no lone surrogates, no control characters in strings, at most 64 levels below the
/// object. The bytes stay with the caller, who passes the same ones to each call and may stop between any two of them, so
/// that a large text neither costs memory nor holds an event loop up.
package struct JSONScanner {
    package enum Token: Equatable {
        case objectBegins
        case objectEnds
        case arrayBegins
        case arrayEnds
        /// A member's ``JSONScanner/name``; its value comes next.
        case name
        case stringBegins
        /// The string goes on with the bytes at these offsets.
        case text(Range<Int>)
        /// The string goes on with what an escape stands for.
        case scalar(Unicode.Scalar)
        case stringEnds
        /// From ``JSONScanner/tokenStart`` to ``JSONScanner/position``.
        case number
        case bool(Bool)
        case null
    }

    private enum State: Equatable {
        case start
        case value
        /// An array may end before its first value, and an object before its first name.
        case valueOrEnd
        case nameOrEnd
        case name
        case colon
        case commaOrEnd
        case string
        case escape
        case hex(digits: Int)
        case lowSurrogate
        case lowSurrogateHex
        case number(Number)
        case word(Word, read: Int)
        case end
    }

    /// What of a number was read.
    private enum Number {
        case minus, zero, whole, point, fraction, exponentMark, exponentSign, exponent

        var isComplete: Bool {
            switch self {
            case .zero, .whole, .fraction, .exponent: true
            case .minus, .point, .exponentMark, .exponentSign: false
            }
        }

        func next(_ byte: UInt8) -> Number? {
            switch (self, byte) {
            case (.minus, UInt8(ascii: "0")): .zero
            case (.minus, 0x31...0x39), (.whole, 0x30...0x39): .whole
            case (.zero, UInt8(ascii: ".")), (.whole, UInt8(ascii: ".")): .point
            case (.point, 0x30...0x39), (.fraction, 0x30...0x39): .fraction
            case (.zero, UInt8(ascii: "e")), (.zero, UInt8(ascii: "E")), (.whole, UInt8(ascii: "e")),
                (.whole, UInt8(ascii: "E")), (.fraction, UInt8(ascii: "e")), (.fraction, UInt8(ascii: "E")):
                .exponentMark
            case (.exponentMark, UInt8(ascii: "+")), (.exponentMark, UInt8(ascii: "-")): .exponentSign
            case (.exponentMark, 0x30...0x39), (.exponentSign, 0x30...0x39), (.exponent, 0x30...0x39): .exponent
            default: nil
            }
        }
    }

    private enum Word {
        case yes, no, null

        var text: StaticString {
            switch self {
            case .yes: "true"
            case .no: "false"
            case .null: "null"
            }
        }

        var token: Token {
            switch self {
            case .yes: .bool(true)
            case .no: .bool(false)
            case .null: .null
            }
        }
    }

    private static let depthMax = 64

    /// How far the text was read.
    package private(set) var position = 0
    /// Where the value began that was begun last.
    package private(set) var tokenStart = 0
    /// The name of the member whose value comes, in UTF-8.
    package private(set) var name: [UInt8] = []
    /// Objects and arrays that are open; 1: only the object itself.
    package private(set) var depth = 0

    private var state = State.start
    /// A bit for each level below the object: it is an object, too.
    private var objects: UInt64 = 0
    /// Numbers of the objects that are open.
    private var openObjects: [Int] = []
    private var objectCount = 0
    /// Hashes of the names that were read, each with its object's number. (Seeded for each process: nobody can choose names
    /// whose hashes of 64 bits are the same.)
    private var names: Set<Int> = []
    private var isInName = false
    private var code: UInt32 = 0
    /// The first half of a surrogate pair.
    private var high: UInt32?
    private var utf8 = UTF8Check()

    package init() {}

    /// The object has ended. Only white space may follow.
    package var isComplete: Bool { state == .end }

    /// The next token that ends before `limit`; nil if the text was read up to there.
    package mutating func next(
        _ bytes: UnsafeRawBufferPointer, upTo limit: Int
    ) throws(MalformedJSON) -> Token? {
        while position < limit {
            if let token = try step(bytes, limit) { return token }
        }
        return nil
    }

    /// To be called when there is no more text.
    package func checkEnd() throws(MalformedJSON) {
        switch state {
        case .end: break
        case .start: throw malformed("an object is expected")
        case .string, .escape, .hex, .lowSurrogate, .lowSurrogateHex: throw malformed("a string has no end")
        default: throw malformed("the object has no end")
        }
    }

    private func malformed(_ problem: String) -> MalformedJSON {
        MalformedJSON(description: "\(problem), at byte \(position)")
    }

    // MARK: Steps

    private mutating func step(_ bytes: UnsafeRawBufferPointer, _ limit: Int) throws(MalformedJSON) -> Token? {
        switch state {
        case .string: return try string(bytes, limit)
        case .escape: return try escape(bytes[position])
        case .hex, .lowSurrogateHex: return try hexDigit(bytes[position])
        case .lowSurrogate:
            guard bytes[position] == UInt8(ascii: "\\") else { throw malformed("half a surrogate pair") }
            position += 1
            state = .lowSurrogateHex
            return nil
        case .number(let number): return try self.number(number, bytes[position])
        case .word(let word, let read): return try self.word(word, read, bytes[position])
        case .start, .value, .valueOrEnd, .nameOrEnd, .name, .colon, .commaOrEnd, .end:
            while let byte = position < limit ? bytes[position] : nil {
                guard byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D else { return try structure(byte) }
                position += 1
            }
            return nil
        }
    }

    /// Between values, behind white space.
    private mutating func structure(_ byte: UInt8) throws(MalformedJSON) -> Token? {
        switch (state, byte) {
        case (.start, UInt8(ascii: "{")): return open(object: true)
        case (.start, _): throw malformed("an object is expected")
        case (.end, _): throw malformed("there is something behind the object")
        case (.colon, UInt8(ascii: ":")): state = .value
        case (.colon, _): throw malformed("a colon is expected")
        case (.valueOrEnd, UInt8(ascii: "]")): return close()
        case (.value, _), (.valueOrEnd, _): return try beginValue(byte)
        case (.nameOrEnd, UInt8(ascii: "}")): return close()
        case (.nameOrEnd, UInt8(ascii: "\"")), (.name, UInt8(ascii: "\"")):
            state = .string
            isInName = true
            name.removeAll(keepingCapacity: true)
        case (.nameOrEnd, _), (.name, _): throw malformed("a name in quotes is expected")
        case (_, UInt8(ascii: ",")): state = isInObject ? .name : .value
        case (_, UInt8(ascii: "}")) where isInObject: return close()
        case (_, UInt8(ascii: "]")) where !isInObject: return close()
        default: throw malformed("a comma or the \(isInObject ? "object" : "array")'s end is expected")
        }
        position += 1
        return nil
    }

    private mutating func beginValue(_ byte: UInt8) throws(MalformedJSON) -> Token? {
        guard depth <= JSONScanner.depthMax else { throw malformed("nested too deeply") }
        tokenStart = position
        switch byte {
        case UInt8(ascii: "{"): return open(object: true)
        case UInt8(ascii: "["): return open(object: false)
        case UInt8(ascii: "\""):
            state = .string
            isInName = false
            position += 1
            return .stringBegins
        case UInt8(ascii: "t"): state = .word(.yes, read: 0)
        case UInt8(ascii: "f"): state = .word(.no, read: 0)
        case UInt8(ascii: "n"): state = .word(.null, read: 0)
        case UInt8(ascii: "-"):
            state = .number(.minus)
            position += 1
        case 0x30...0x39: state = .number(.minus)
        default: throw malformed("a value is expected")
        }
        return nil
    }

    // MARK: Objects and arrays

    private var isInObject: Bool { depth == 1 || objects >> (depth - 2) & 1 == 1 }

    private mutating func open(object: Bool) -> Token {
        position += 1
        depth += 1
        if depth > 1 {
            let bit: UInt64 = 1 << (depth - 2)
            objects = object ? objects | bit : objects & ~bit
        }
        guard object else {
            state = .valueOrEnd
            return .arrayBegins
        }
        objectCount += 1
        openObjects.append(objectCount)
        state = .nameOrEnd
        return .objectBegins
    }

    private mutating func close() -> Token {
        position += 1
        let isObject = isInObject
        if isObject { openObjects.removeLast() }
        depth -= 1
        state = depth == 0 ? .end : .commaOrEnd
        return isObject ? .objectEnds : .arrayEnds
    }

    private mutating func endName() throws(MalformedJSON) {
        var hasher = Hasher()
        hasher.combine(openObjects.last)
        name.withUnsafeBytes { hasher.combine(bytes: $0) }
        guard names.insert(hasher.finalize()).inserted else {
            throw malformed("\"\(String(decoding: name.prefix(40), as: UTF8.self))\" is there twice")
        }
        state = .colon
    }

    // MARK: Numbers and words

    private mutating func number(_ number: Number, _ byte: UInt8) throws(MalformedJSON) -> Token? {
        if let next = number.next(byte) {
            state = .number(next)
            position += 1
            return nil
        }
        guard number.isComplete else { throw malformed("a value is expected") }
        state = .commaOrEnd
        return .number
    }

    private mutating func word(_ word: Word, _ read: Int, _ byte: UInt8) throws(MalformedJSON) -> Token? {
        guard byte == word.text.utf8Start[read] else { throw malformed("a value is expected") }
        position += 1
        guard read + 1 == word.text.utf8CodeUnitCount else {
            state = .word(word, read: read + 1)
            return nil
        }
        state = .commaOrEnd
        return word.token
    }

    // MARK: Strings

    private mutating func string(_ bytes: UnsafeRawBufferPointer, _ limit: Int) throws(MalformedJSON) -> Token? {
        let start = position
        while position < limit {
            let byte = bytes[position]
            if byte < 0x80, utf8.isBetweenCharacters {
                guard byte >= 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") else { break }
            } else if !utf8.take(byte) {
                throw malformed("this is not UTF-8")
            }
            position += 1
        }
        if position > start {
            guard isInName else { return .text(start..<position) }
            name.append(contentsOf: bytes[start..<position])
            return nil
        }
        switch bytes[position] {
        case UInt8(ascii: "\\"):
            position += 1
            state = .escape
            return nil
        case UInt8(ascii: "\""):
            position += 1
            state = .commaOrEnd
            guard isInName else { return .stringEnds }
            try endName()
            return .name
        default: throw malformed("a control character in a string must be escaped")
        }
    }

    private mutating func escape(_ byte: UInt8) throws(MalformedJSON) -> Token? {
        let scalar: Unicode.Scalar
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): scalar = Unicode.Scalar(byte)
        case UInt8(ascii: "b"): scalar = "\u{8}"
        case UInt8(ascii: "f"): scalar = "\u{C}"
        case UInt8(ascii: "n"): scalar = "\n"
        case UInt8(ascii: "r"): scalar = "\r"
        case UInt8(ascii: "t"): scalar = "\t"
        case UInt8(ascii: "u"):
            position += 1
            code = 0
            state = .hex(digits: 0)
            return nil
        default: throw malformed("an unknown escape")
        }
        position += 1
        return append(scalar)
    }

    private mutating func append(_ scalar: Unicode.Scalar) -> Token? {
        state = .string
        guard isInName else { return .scalar(scalar) }
        name.append(contentsOf: scalar.utf8)
        return nil
    }

    private mutating func hexDigit(_ byte: UInt8) throws(MalformedJSON) -> Token? {
        guard case .hex(let digits) = state else {
            guard byte == UInt8(ascii: "u") else { throw malformed("half a surrogate pair") }
            position += 1
            code = 0
            state = .hex(digits: 0)
            return nil
        }
        let digit: UInt8
        switch byte {
        case 0x30...0x39: digit = byte - 0x30
        case 0x41...0x46: digit = byte - 0x41 + 10
        case 0x61...0x66: digit = byte - 0x61 + 10
        default: throw malformed("four hexadecimal digits are expected")
        }
        position += 1
        code = code << 4 | UInt32(digit)
        guard digits == 3 else {
            state = .hex(digits: digits + 1)
            return nil
        }
        return try endCode()
    }

    private mutating func endCode() throws(MalformedJSON) -> Token? {
        if let first = high {
            guard (0xDC00..<0xE000).contains(code) else { throw malformed("half a surrogate pair") }
            high = nil
            code = 0x10000 + (first - 0xD800) << 10 + (code - 0xDC00)
        } else if (0xD800..<0xDC00).contains(code) {
            high = code
            state = .lowSurrogate
            return nil
        }
        guard let scalar = Unicode.Scalar(code) else { throw malformed("half a surrogate pair") }
        return append(scalar)
    }
}
