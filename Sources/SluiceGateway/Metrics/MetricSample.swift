// SPDX-License-Identifier: Apache-2.0

/// One line of a metric.
package struct MetricSample: Equatable, Sendable {
    /// Behind the metric's name: `_sum`; mostly empty.
    package let suffix: String
    /// As they are written: `{reason="client"}`; empty: none.
    package let labels: String
    package let value: String

    package init(suffix: String = "", labels: [(name: String, value: String)] = [], _ value: String) {
        self.suffix = suffix
        self.labels =
            labels.isEmpty
            ? "" : "{\(labels.map { "\($0.name)=\"\(MetricSample.escaped($0.value))\"" }.joined(separator: ","))}"
        self.value = value
    }

    private static func escaped(_ value: String) -> String {
        var text = ""
        for character in value.unicodeScalars {
            switch character {
            case "\\": text += "\\\\"
            case "\"": text += "\\\""
            case "\n": text += "\\n"
            default: text.unicodeScalars.append(character)
            }
        }
        return text
    }
}
