// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// The fields of a URL's query or of a form, in order; a name may be there more than once.
package struct Query: Sendable {
    private var fields: [(name: String, value: String)]

    /// - Throws: ``HTTPProblem`` if a percent sign or the encoding is broken.
    package init(_ text: some StringProtocol) throws(HTTPProblem) {
        var fields: [(String, String)] = []
        // By bytes: to Swift, an ampersand that a combining character follows is no ampersand.
        for part in Substring(text).utf8.split(separator: UInt8(ascii: "&")) {
            let pair = part.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            let texts = pair.map { PercentEncoding.decode(Substring($0), plusIsSpace: true) }
            guard let name = texts[0], let value = texts.count > 1 ? texts[1] : "" else {
                throw .badRequest("the query is not percent-encoded UTF-8 near \"\(Substring(part).prefix(40))\"")
            }
            fields.append((name, value))
        }
        self.fields = fields
    }

    package mutating func append(_ other: Query) {
        fields += other.fields
    }

    package func all(_ name: String) -> [String] {
        fields.filter { $0.name == name }.map(\.value)
    }

    /// - Throws: ``HTTPProblem`` if the name is there more than once.
    package func one(_ name: String) throws(HTTPProblem) -> String? {
        let values = all(name)
        guard values.count < 2 else { throw .badRequest("\(name) is there \(values.count) times; once is allowed") }
        return values.first
    }

    /// A switch: `1`, `true`, `0` or `false`.
    package func flag(_ name: String, default standard: Bool) throws(HTTPProblem) -> Bool {
        switch try one(name) {
        case nil: standard
        case "1", "true": true
        case "0", "false": false
        default: throw .badRequest("\(name) takes 0 or 1")
        }
    }
}
