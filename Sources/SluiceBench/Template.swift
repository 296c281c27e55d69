// SPDX-License-Identifier: Apache-2.0

/// A text with places to fill in: `{i}` a stream's number, `{t}` a topic's number, `{data}` the payload.
package struct Template: Sendable, Equatable {
    private enum Part: Equatable, Sendable {
        case literal(Substring)
        case stream
        case topic
        case data
    }

    private let parts: [Part]

    package init(_ text: String) {
        let places: [(name: String, part: Part)] = [("{i}", .stream), ("{t}", .topic), ("{data}", .data)]
        var parts: [Part] = []
        var rest = text[...]
        var literalStart = rest.startIndex
        while let brace = rest.firstIndex(of: "{") {
            rest = rest[brace...]
            guard let place = places.first(where: { rest.hasPrefix($0.name) }) else {
                rest = rest.dropFirst()
                continue
            }
            if literalStart < brace { parts.append(.literal(text[literalStart..<brace])) }
            parts.append(place.part)
            rest = rest.dropFirst(place.name.count)
            literalStart = rest.startIndex
        }
        if literalStart < text.endIndex { parts.append(.literal(text[literalStart...])) }
        self.parts = parts
    }

    package var hasTopic: Bool { parts.contains(.topic) }
    var hasData: Bool { parts.contains(.data) }

    func text(stream: Int = 0, topic: Int = 0, data: String = "") -> String {
        var result = ""
        for part in parts {
            switch part {
            case .literal(let text): result += text
            case .stream: result += String(stream)
            case .topic: result += String(topic)
            case .data: result += data
            }
        }
        return result
    }
}
