// SPDX-License-Identifier: Apache-2.0
import Histogram
import NIOCore

/// What a bench found.
package struct Report: Sendable {
    /// What the probed processes used; there only with `--pid`.
    struct Server: Sendable {
        var opening: ProcessProbe.CPUTime
        var holding: ProcessProbe.CPUTime
        var publishing: ProcessProbe.CPUTime
        /// Before the first stream, with all of them open, and at the end, in KiB.
        var memoryBefore: Int
        var memoryIdle: Int
        var memoryEnd: Int
    }

    var streams: Int
    var openSeconds: Double
    var counts: Counts
    var latency: Histogram<UInt64>
    var lost: Int
    var publisher: PacedPublisher.Reading
    /// From the first publish to the last arrival.
    var seconds: Double
    /// Of the bench itself, while it published.
    var ownCPU: ProcessProbe.CPUTime
    /// How long that was.
    var ownSeconds: Double
    var server: Server?
    var isInterrupted: Bool

    /// Nothing was lost, duplicated, out of order, refused or cut off.
    package var isGood: Bool {
        counts.refused == 0 && counts.closed == 0 && lost == 0 && counts.duplicates == 0 && counts.outOfOrder == 0
            && publisher.failed == 0
    }

    var deliveriesPerSecond: Double { seconds > 0 ? Double(counts.deliveries) / seconds : 0 }

    /// Latencies, in milliseconds.
    var percentiles: [(name: String, value: Double)] {
        let steps = [("p50", 50.0), ("p90", 90), ("p99", 99), ("p99.9", 99.9)]
        let values = steps.map { ($0.0, Double(latency.valueAtPercentile($0.1)) / 1_000_000) }
        return values + [("max", Double(latency.max) / 1_000_000)]
    }

    /// How late a message went out, at worst, in milliseconds.
    var publisherLateness: Double { Double(publisher.lateness.nanoseconds) / 1_000_000 }

    func perDelivery(_ value: Double) -> Double { counts.deliveries > 0 ? value / Double(counts.deliveries) : 0 }

    func perStream(_ value: Double) -> Double { counts.opened > 0 ? value / Double(counts.opened) : 0 }

    func memoryPerStream(_ server: Server) -> Double { perStream(Double(server.memoryIdle - server.memoryBefore)) }
}
