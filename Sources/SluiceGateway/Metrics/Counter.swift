// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// A number that rises. Every loop adds to it without waiting; statistics need no order among themselves.
package final class Counter: NumberMetric {
    package static let kind = MetricKind.counter
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

    package var value: Int { count.load(ordering: .relaxed) }
}
