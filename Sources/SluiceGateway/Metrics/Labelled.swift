// SPDX-License-Identifier: Apache-2.0

/// One number for each value of a label: `refusals[.oom].add(1)`. All are shown from the start, so that the first time that
/// something happens is a rise, too.
package final class Labelled<Label, Number>: Metric
where Label: CaseIterable & Hashable & RawRepresentable<String> & Sendable, Number: NumberMetric {
    package let name: String
    package let kind: MetricKind
    package let help: String
    private let labelName: String
    private let numbers: [Label: Number]

    package init(_ name: String, _ label: String, _ help: String) {
        self.name = name
        self.help = help
        labelName = label
        kind = Number.kind
        numbers = Dictionary(Label.allCases.map { ($0, Number(name, help)) }) { first, _ in first }
    }

    package subscript(label: Label) -> Number {
        guard let number = numbers[label] else { preconditionFailure("\(label) is not in its type's allCases") }
        return number
    }

    /// All together.
    package var value: Int { numbers.values.reduce(0) { $0 + $1.value } }

    package var label: (name: String, values: [String])? { (labelName, Label.allCases.map(\.rawValue)) }

    package var samples: [MetricSample] {
        Label.allCases.map { MetricSample(labels: [(labelName, $0.rawValue)], "\(self[$0].value)") }
    }
}
