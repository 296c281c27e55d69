// SPDX-License-Identifier: Apache-2.0

/// One number for each value of a label: `refusals[.oom].add(1)`. A counter is shown once it has counted something.
package final class Labelled<Label, Number>: Metric
where Label: CaseIterable & Hashable & RawRepresentable<String> & Sendable, Number: NumberMetric {
    package static var kind: String { Number.kind }
    package let name: String
    package let help: String
    private let labelName: String
    private let numbers: [Label: Number]

    package init(_ name: String, _ label: String, _ help: String) {
        self.name = name
        self.help = help
        labelName = label
        numbers = Dictionary(Label.allCases.map { ($0, Number(name, help)) }) { first, _ in first }
    }

    package subscript(label: Label) -> Number {
        guard let number = numbers[label] else { preconditionFailure("\(label) is not in its type's allCases") }
        return number
    }

    package var label: (name: String, values: [String])? { (labelName, Label.allCases.map(\.rawValue)) }

    package var samples: [(suffix: String, value: String)] {
        Label.allCases.compactMap { label in
            let value = self[label].value
            return value == 0 && Number.self is Counter.Type
                ? nil : ("{\(labelName)=\"\(label.rawValue)\"}", "\(value)")
        }
    }
}
