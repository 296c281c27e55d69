// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// How long something took, each time. Every loop adds to it without waiting; so a reader may see a time in the buckets that
/// is not in the sum yet.
package final class TimeHistogram: Metric {
    /// Times that one loop has gathered, and not added yet: what happens very often costs other loops nothing.
    package struct Tally {
        fileprivate let bounds: [TimeAmount]
        fileprivate var counts: [Int]
        fileprivate var nanoseconds = 0

        fileprivate init(bounds: [TimeAmount]) {
            self.bounds = bounds
            counts = Array(repeating: 0, count: bounds.count + 1)
        }

        package mutating func observe(_ time: TimeAmount, count: Int = 1) {
            counts[bounds.firstIndex { time <= $0 } ?? bounds.count] += count
            nanoseconds += Int(time.nanoseconds) * count
        }
    }

    /// From a good network's to a very bad one's.
    package static let latencies = [
        500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    ].map { TimeAmount.microseconds($0) }

    /// The same for times that are known to the millisecond only, and may be an outage's.
    package static let milliseconds = Array(latencies.dropFirst()) + [.seconds(10), .seconds(30)]

    package let name: String
    package let kind = MetricKind.histogram
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

    /// An empty one, for `add`.
    package var tally: Tally { Tally(bounds: bounds) }

    /// Adds what was gathered, and empties it.
    package func add(_ tally: inout Tally) {
        for (index, count) in tally.counts.enumerated() where count > 0 {
            counts[index].add(count)
            tally.counts[index] = 0
        }
        nanoseconds.add(tally.nanoseconds)
        tally.nanoseconds = 0
    }

    package var samples: [MetricSample] {
        let ends = bounds.map { TimeHistogram.seconds(Int($0.nanoseconds)) } + ["+Inf"]
        var total = 0
        var samples: [MetricSample] = []
        for (end, count) in zip(ends, counts) {
            total += count.value
            samples.append(MetricSample(suffix: "_bucket", labels: [("le", end)], "\(total)"))
        }
        return samples + [
            MetricSample(suffix: "_sum", TimeHistogram.seconds(nanoseconds.value)),
            MetricSample(suffix: "_count", "\(total)"),
        ]
    }

    private static func seconds(_ nanoseconds: Int) -> String { "\(Double(nanoseconds) / 1e9)" }
}
