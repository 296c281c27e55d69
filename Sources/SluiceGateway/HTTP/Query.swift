// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// The fields of a URL's query or of a form, in order; a name may be there more than once.
///
/// The text is taken apart by bytes, and a value is decoded when somebody asks for it: whatever a stranger sends, a byte
/// costs some nanoseconds, and a field that nobody asks for costs no allocation.
package struct Query: Sendable {
    /// A name that somebody asks for, of at most 16 bytes.
    package struct Name: ExpressibleByStringLiteral, Sendable {
        fileprivate let text: String
        fileprivate let packed: UInt128

        package init(stringLiteral text: String) {
            precondition(text.utf8.count <= Name.bytesMax, "a longer name is never found")
            self.text = text
            packed = text.utf8.reduce(0) { $0 << 8 | UInt128($1) }
        }

        fileprivate static let bytesMax = 16

        /// nil: a name that nobody asks for, or one that is no text.
        fileprivate static func packed(_ encoded: ArraySlice<UInt8>) -> UInt128? {
            guard encoded.count <= 3 * bytesMax else { return nil }
            var packed: UInt128 = 0
            var count = 0
            var rest = PercentEncoding.Decoder(encoded, plusIsSpace: true)
            while let byte = rest.next() {
                count += 1
                packed = packed << 8 | UInt128(byte)
            }
            return rest.isBroken || count > bytesMax ? nil : packed
        }
    }

    private struct Field {
        let name: UInt128
        let value: Range<Int>
    }

    /// Fields that a query may have beside those that may be repeated.
    package static let fieldsMax = 64

    private var bytes: [UInt8] = []
    private var fields: [Field] = []

    /// Without any field.
    package init() {}

    /// - Throws: ``HTTPProblem`` if there are too many fields.
    package init(_ text: some StringProtocol, fieldsMax: Int = Query.fieldsMax) throws(HTTPProblem) {
        try self.init(bytes: Array(text.utf8), fieldsMax: fieldsMax)
    }

    package init(bytes: [UInt8], fieldsMax: Int = Query.fieldsMax) throws(HTTPProblem) {
        self.bytes = bytes
        var start = 0
        var count = 0
        while start < bytes.count {
            count += 1
            guard count <= fieldsMax else { throw .badRequest("the query has more than \(fieldsMax) fields") }
            let end = bytes[start...].firstIndex(of: UInt8(ascii: "&")) ?? bytes.count
            let equals = bytes[start..<end].firstIndex(of: UInt8(ascii: "=")) ?? end
            if end > start, let name = Name.packed(bytes[start..<equals]) {
                fields.append(Field(name: name, value: min(equals + 1, end)..<end))
            }
            start = end + 1
        }
    }

    package mutating func append(_ other: Query) {
        let offset = bytes.count
        bytes += other.bytes
        fields += other.fields.map { field in
            Field(name: field.name, value: field.value.lowerBound + offset..<field.value.upperBound + offset)
        }
    }

    /// - Throws: ``HTTPProblem`` if a percent sign or the encoding is broken.
    package func all(_ name: Name) throws(HTTPProblem) -> [String] {
        var values: [String] = []
        for field in fields where field.name == name.packed {
            guard let value = PercentEncoding.decode(bytes[field.value], plusIsSpace: true) else {
                throw .badRequest("the query's \(name.text) is not percent-encoded UTF-8")
            }
            values.append(value)
        }
        return values
    }

    /// - Parameter others: other names for the same.
    /// - Throws: ``HTTPProblem`` if it is there more than once, under whatever name.
    package func one(_ name: Name, _ others: Name...) throws(HTTPProblem) -> String? {
        var values = try all(name)
        for other in others { values += try all(other) }
        guard values.count < 2 else {
            let names = ([name] + others).map(\.text).joined(separator: " or ")
            throw .badRequest("\(names) is there \(values.count) times; once is allowed")
        }
        return values.first
    }

    /// A client, under any of the names that pages have for it.
    package func client() throws(HTTPProblem) -> String? {
        try one("client", "client_id", "user_id")
    }

    /// A token, for an `EventSource`, which sends no header of its own.
    package func token() throws(HTTPProblem) -> String? {
        if let token = try one("access_token") { return token }
        return try one("token")
    }

    /// A switch: `1`, `true`, `0` or `false`.
    package func flag(_ name: Name, default standard: Bool) throws(HTTPProblem) -> Bool {
        switch try one(name) {
        case nil: standard
        case "1", "true": true
        case "0", "false": false
        default: throw .badRequest("\(name.text) takes 0 or 1")
        }
    }
}
