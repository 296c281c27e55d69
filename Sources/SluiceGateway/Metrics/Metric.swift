// SPDX-License-Identifier: Apache-2.0

/// Something that is counted or measured, under a public name.
package protocol Metric: AnyObject, Sendable {
    /// Without the prefix `sluice_`.
    var name: String { get }
    /// As Prometheus names it: `counter`, `gauge` or `histogram`.
    static var kind: String { get }
    var help: String { get }
    /// Its label, and what the label may be; nil: it has none.
    var label: (name: String, values: [String])? { get }
    /// Its numbers now, each with what stands behind the name in its line.
    var samples: [(suffix: String, value: String)] { get }
}

extension Metric {
    package var label: (name: String, values: [String])? { nil }

    /// In Prometheus' text format, version 0.0.4; empty if there is no number yet.
    package var text: String {
        let samples = samples
        guard !samples.isEmpty else { return "" }
        let lines = samples.map { "sluice_\(name)\($0.suffix) \($0.value)\n" }
        return "# HELP sluice_\(name) \(help)\n# TYPE sluice_\(name) \(Self.kind)\n" + lines.joined()
    }
}
