// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// Turns what a stream says into lines for standard output.
struct EventPrinter: Sendable {
    let isJSON: Bool
    let isVerbose: Bool
    private var remaining: Int?

    init(isJSON: Bool, isVerbose: Bool, countMax: Int?) {
        self.isJSON = isJSON
        self.isVerbose = isVerbose
        self.remaining = countMax
    }

    /// As many events as were asked for have been printed.
    var isDone: Bool { remaining == 0 }

    /// The text to print for an item; empty if there is nothing to show.
    mutating func text(_ item: EventStreamParser.Output) -> String {
        switch item {
        case .retry(let milliseconds): note("retry \(milliseconds) ms")
        case .comment(let text): note("comment\(text.isEmpty ? "" : ": \(text)")")
        case .event(let event):
            switch event.type {
            case "checkpoint": note("checkpoint \(event.lastEventID)")
            case "gap":
                Console.complain("events were lost: \(EventPrinter.printable(event.data, lineEnd: " "))")
                return line(event)
            // Of the gateway itself: shown, but not one of the events that were asked for.
            case "pause": return line(event)
            default:
                remaining = remaining.map { $0 - 1 }
                return line(event)
            }
        }
        return ""
    }

    /// Shown with `--verbose`, on standard error.
    func note(_ text: String) {
        if isVerbose { Console.note("# \(EventPrinter.printable(text, lineEnd: " "))\n") }
    }

    private func line(_ event: EventStreamParser.Event) -> String {
        guard isJSON else {
            let head = "\(event.id ?? "-") \(event.type) "
            return EventPrinter.printable(head, lineEnd: " ") + EventPrinter.printable(event.data, lineEnd: "\n  ")
                + "\n"
        }
        let members = [
            ("id", event.id.map { JSONText.quoted($0) } ?? "null"), ("type", JSONText.quoted(event.type)),
            ("data", JSONText.quoted(event.data)), ("last_event_id", JSONText.quoted(event.lastEventID)),
        ]
        return "{" + members.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + "}\n"
    }

    /// What others publish must not drive this terminal: control characters are shown, not sent.
    private static func printable(_ text: String, lineEnd: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            if scalar == "\n" {
                result += lineEnd
            } else if scalar != "\t", scalar.properties.generalCategory == .control {
                result += "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
