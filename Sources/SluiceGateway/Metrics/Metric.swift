// SPDX-License-Identifier: Apache-2.0

/// Something that is counted or measured, under a public name.
package protocol Metric: Sendable {
    /// As Prometheus has it: `sluice_gaps_total`.
    var name: String { get }
    var kind: MetricKind { get }
    /// What it means to an operator, and what to do about it.
    var help: String { get }
    /// Its label, and what the label may be; nil: it has none, or its values are no fixed list.
    var label: (name: String, values: [String])? { get }
    /// Its numbers now.
    var samples: [MetricSample] { get }
}

extension Metric {
    package var label: (name: String, values: [String])? { nil }

    /// Its block of the page; empty if there is no number yet.
    package func text(_ format: MetricsFormat = .prometheus) -> String {
        let samples = samples
        guard !samples.isEmpty else { return "" }
        let family = format.family(name, kind)
        var text = "# HELP \(family) \(help)\n# TYPE \(family) \(format.name(of: kind))\n"
        if let unit = format.unit(of: family) { text += "# UNIT \(family) \(unit)\n" }
        for sample in samples { text += "\(name)\(sample.suffix)\(sample.labels) \(sample.value)\n" }
        return text
    }
}
