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

    /// Parses a text that must be one object, as strictly as ``JSONScanner`` does.
    ///
    /// For texts whose length is bounded: each member and each element of an array takes memory of its own.
    package static func object(_ text: String) throws(MalformedJSON) -> [ExactText: Member] {
        var text = text
        text.makeContiguousUTF8()
        var builder = MemberBuilder(text: text)
        let result: Result<Void, MalformedJSON> = text.utf8Span.span.withUnsafeBytes { bytes in
            var scanner = JSONScanner()
            do throws(MalformedJSON) {
                while let token = try scanner.next(bytes, upTo: bytes.count) { builder.take(token, scanner, bytes) }
                return .success(try scanner.checkEnd())
            } catch {
                return .failure(error)
            }
        }
        try result.get()
        return builder.members
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

/// Makes the members of an object from its tokens. What is inside of an object in it stays text.
private struct MemberBuilder {
    private struct Container {
        let start: Int
        let isObject: Bool
        var elements: [JSONText.Member] = []
    }

    let text: String
    private(set) var members: [ExactText: JSONText.Member] = [:]
    private var name = ExactText("")
    private var string: [UInt8] = []
    private var containers: [Container] = []

    init(text: String) {
        self.text = text
    }

    mutating func take(_ token: JSONScanner.Token, _ scanner: JSONScanner, _ bytes: UnsafeRawBufferPointer) {
        switch token {
        case .objectBegins where scanner.depth == 1: break
        case .objectBegins, .arrayBegins:
            containers.append(Container(start: scanner.position - 1, isObject: token == .objectBegins))
        case .objectEnds, .arrayEnds:
            guard let container = containers.popLast() else { break }
            let value: JSONText.Value = container.isObject ? .object : .array(container.elements)
            finish(value, container.start..<scanner.position)
        case .name:
            if containers.isEmpty { name = ExactText(String(decoding: scanner.name, as: UTF8.self)) }
        case .stringBegins: string.removeAll(keepingCapacity: true)
        case .text(let range): string.append(contentsOf: bytes[range])
        case .scalar(let scalar): string.append(contentsOf: scalar.utf8)
        case .stringEnds:
            finish(.string(String(decoding: string, as: UTF8.self)), scanner.tokenStart..<scanner.position)
        case .number:
            let range = scanner.tokenStart..<scanner.position
            finish(.number(slice(range)), range)
        case .bool(let value): finish(.bool(value), scanner.tokenStart..<scanner.position)
        case .null: finish(.null, scanner.tokenStart..<scanner.position)
        }
    }

    private mutating func finish(_ value: JSONText.Value, _ range: Range<Int>) {
        if containers.isEmpty {
            members[name] = JSONText.Member(value: value, text: slice(range))
            return
        }
        guard containers.last?.isObject == false else { return }
        containers[containers.count - 1].elements.append(JSONText.Member(value: value, text: slice(range)))
    }

    private func slice(_ range: Range<Int>) -> Substring {
        let start = text.utf8.index(text.startIndex, offsetBy: range.lowerBound)
        return text[start..<text.utf8.index(start, offsetBy: range.count)]
    }
}
