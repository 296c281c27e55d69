// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// A number that rises and falls. Every loop changes it without waiting.
package final class Gauge: NumberMetric {
    package static let kind = MetricKind.gauge
    package let name: String
    package let help: String
    private let count = Atomic<Int>(0)

    package init(_ name: String, _ help: String) {
        self.name = name
        self.help = help
    }

    package func add(_ more: Int) {
        count.wrappingAdd(more, ordering: .relaxed)
    }

    package func set(_ value: Int) {
        count.store(value, ordering: .relaxed)
    }

    package var value: Int { count.load(ordering: .relaxed) }
}
