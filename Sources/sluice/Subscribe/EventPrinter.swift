// SPDX-License-Identifier: Apache-2.0
import SluiceClient
import SluiceCore

/// Prints events for a person, or as one JSON object a line for a program.
struct EventPrinter {
    let isJSON: Bool
    /// On a screen, control characters in the data are shown instead of obeyed.
    let isTerminal: Bool

    func text(_ event: ServerSentEvent) -> String {
        if isJSON {
            let id = event.id.map { JSONText.quoted($0) } ?? "null"
            return "{\"type\":\(JSONText.quoted(event.type)),\"id\":\(id),\"data\":\(JSONText.quoted(event.data))}\n"
        }
        let head = "\(shown(event.type)) \(event.id.map { $0.isEmpty ? "-" : shown($0) } ?? "-")"
        // On scalars: for Swift a CR and a LF are one character.
        let lines = event.data.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false)
        if lines.count == 1 { return event.data.isEmpty ? "\(head)\n" : "\(head) \(shown(event.data))\n" }
        return "\(head)\n" + lines.map { "    \(shown(String($0)))\n" }.joined()
    }

    private func shown(_ text: String) -> String {
        guard isTerminal else { return text }
        return text.unicodeScalars.reduce(into: "") { result, scalar in
            let isShown = scalar.properties.generalCategory != .control || scalar == "\t"
            result += isShown ? "\(scalar)" : "\\u{\(String(scalar.value, radix: 16))}"
        }
    }
}
