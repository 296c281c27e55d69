// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// One `Name: value` for a request.
struct HeaderArgument: ExpressibleByArgument, Sendable {
    let name: String
    let value: String

    init?(argument text: String) {
        guard let colon = text.firstIndex(of: ":"), colon > text.startIndex,
            text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F })
        else { return nil }
        let name = text[..<colon]
        guard name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        self.name = String(name)
        value = String(text[text.index(after: colon)...].drop { $0 == " " })
    }
}
