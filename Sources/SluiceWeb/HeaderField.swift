// SPDX-License-Identifier: Apache-2.0

/// One `Name: value` for a request.
package struct HeaderField: Sendable {
    package let name: String
    package let value: String

    /// - Parameter text: `Name: value`; nil for what would be no field, or more than one.
    package init?(_ text: String) {
        guard let colon = text.firstIndex(of: ":"), colon > text.startIndex,
            text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F })
        else { return nil }
        let name = text[..<colon]
        guard name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        self.name = String(name)
        value = String(text[text.index(after: colon)...].drop { $0 == " " })
    }
}
