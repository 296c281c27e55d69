// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// How long something took, each time. Every loop adds to it without waiting; so a reader may see a time in the buckets that
/// is not in the sum yet.
package final class TimeHistogram: Metric {
    package static let kind = "histogram"
    /// From a good network's to a very bad one's.
    package static let latencies = [
        500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    ].map { TimeAmount.microseconds($0) }

    package let name: String
    package let help: String
    private let bounds: [TimeAmount]
    /// For each bound, of times beyond the bound before; and of those beyond all.
    private let counts: [Counter]
    private let nanoseconds: Counter

    /// - Parameter bounds: rising; a time belongs to the first one that is not shorter.
    package init(_ name: String, upTo bounds: [TimeAmount], _ help: String) {
        self.name = name
        self.help = help
        self.bounds = bounds
        counts = (0...bounds.count).map { _ in Counter(name, help) }
        nanoseconds = Counter(name, help)
    }

    package func observe(_ time: TimeAmount) {
        counts[bounds.firstIndex { time <= $0 } ?? bounds.count].add(1)
        nanoseconds.add(Int(time.nanoseconds))
    }

    package var samples: [(suffix: String, value: String)] {
        let ends = bounds.map { TimeHistogram.seconds(Int($0.nanoseconds)) } + ["+Inf"]
        var total = 0
        var samples: [(suffix: String, value: String)] = []
        for (end, count) in zip(ends, counts) {
            total += count.value
            samples.append(("_bucket{le=\"\(end)\"}", "\(total)"))
        }
        return samples + [("_sum", TimeHistogram.seconds(nanoseconds.value)), ("_count", "\(total)")]
    }

    private static func seconds(_ nanoseconds: Int) -> String { "\(Double(nanoseconds) / 1e9)" }
}
