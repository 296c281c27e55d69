// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOCore
import SluiceCore
import SluiceGateway
import SluiceRedis
import TestSupport
import Testing

@Suite("Metrics")
struct MetricsTests {
    private static let counters = Counters()
    private static let page = {
        let status = NodeStatus()
        status.serves([PartitionSet(.first), PartitionSet(Partition(3))])
        status.feedIsUp(Partition(3))
        return MetricsPage(counters: counters, status: status, streamsMax: 7)
    }()

    @Test("Each has a name of its own in base units, as Prometheus wants it, and a meaning")
    func names() {
        let all = Self.page.metrics
        #expect(Set(all.map(\.name)).count == all.count && all.count > 30)
        for metric in all {
            #expect(metric.name.wholeMatch(of: /(sluice|process)_[a-z0-9_]*/) != nil, "\(metric.name)")
            #expect((metric.kind == .counter) == metric.name.hasSuffix("_total"), "\(metric.name)")
            #expect((metric.kind == .info) == metric.name.hasSuffix("_info"), "\(metric.name)")
            #expect(!metric.name.contains(/milli|micro|nano|minutes|percent|_mb|_kb/), "\(metric.name)")
            #expect(metric.help.hasSuffix(".") && !metric.help.contains(/[\n"\\]/), "\(metric.name)")
        }
    }

    @Test("The page keeps to both formats, and says the same in both", arguments: MetricsFormat.allCases)
    func formats(_ format: MetricsFormat) throws {
        let text = try MetricsText(Self.page.text(format), isOpenMetrics: format == .openMetrics)
        let other = try MetricsText(Self.page.text(.prometheus), isOpenMetrics: false)
        #expect(Set(text.samples.map(\.name)) == Set(other.samples.map(\.name)))
        #expect(text.families.count == Self.page.metrics.count)
        #expect(text["sluice_feed_up"]?.samples.map(\.labels) == [["partition": "0"], ["partition": "3"]])
        #expect(text["sluice_feed_up"]?.samples.map(\.value) == [0, 1])
        #expect(text["sluice_feed_seconds"]?.unit == (format == .openMetrics ? "seconds" : nil))
        let name = format == .openMetrics ? "sluice_gaps" : "sluice_gaps_total"
        #expect(text[name]?.samples.map(\.name) == ["sluice_gaps_total"])
    }

    private static let accepts: [(fields: [String], format: MetricsFormat)] = [
        ([], .prometheus),
        (["*/*"], .prometheus),
        (["text/html"], .prometheus),
        (["application/openmetrics-text"], .openMetrics),
        (["application/openmetrics-text; version=0.0.1"], .prometheus),
        (["application/openmetrics-text;version=1.0.0;q=0"], .prometheus),
        (["text/plain;q=0.9", "application/openmetrics-text;q=0.5"], .prometheus),
        // As Prometheus sends it.
        (
            [
                "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
                    + "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
            ], .openMetrics
        ),
    ]

    @Test("OpenMetrics is for who asks for it", arguments: accepts)
    func negotiation(_ accept: (fields: [String], format: MetricsFormat)) {
        #expect(MetricsFormat(accept: accept.fields) == accept.format)
    }

    @Test("A name is said once for all its labels, and all of them are there from the start")
    func labels() {
        let dropped = Labelled<DropReason, Counter>("a_total", "reason", "b.")
        dropped[.future].add(2)
        #expect(
            dropped.text() == """
                # HELP a_total b.
                # TYPE a_total counter
                a_total{reason="malformed"} 0
                a_total{reason="future"} 2
                a_total{reason="oversized"} 0

                """)
        #expect(dropped.value == 2)
        #expect(MetricSample(labels: [("a", "\"\\\n")], "1").labels == #"{a="\"\\\n"}"#)
    }

    @Test("A histogram counts a time in the first bucket that it fits into and in all above")
    func histogram() {
        let times = TimeHistogram("a_seconds", upTo: [.milliseconds(1), .microseconds(2500), .seconds(1)], "b.")
        for time in [TimeAmount.zero, .nanoseconds(1_000_001), .seconds(2)] { times.observe(time) }
        var tally = times.tally
        tally.observe(.milliseconds(1))
        tally.observe(.seconds(1), count: 3)
        times.add(&tally)
        times.add(&tally)
        #expect(
            times.text(.openMetrics) == """
                # HELP a_seconds b.
                # TYPE a_seconds histogram
                # UNIT a_seconds seconds
                a_seconds_bucket{le="0.001"} 2
                a_seconds_bucket{le="0.0025"} 3
                a_seconds_bucket{le="1.0"} 6
                a_seconds_bucket{le="+Inf"} 7
                a_seconds_sum 5.002000001
                a_seconds_count 7

                """)
    }

    @Test("What several loops count at once is all there")
    func concurrency() async {
        let counters = Counters()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<1000 {
                        counters.gaps.add(1)
                        counters.redisRefusals[.other].add(1)
                        counters.feedTimes.observe(.milliseconds(3))
                    }
                }
            }
        }
        #expect(counters.gaps.value == 8000 && counters.redisRefusals[.other].value == 8000)
        let text = counters.feedTimes.text()
        #expect(text.contains("\nsluice_feed_seconds_bucket{le=\"0.005\"} 8000\n"))
        #expect(text.contains("\nsluice_feed_seconds_sum 24.0\nsluice_feed_seconds_count 8000\n"))
    }

    @Test("The process says what it holds")
    func process() throws {
        let before = ProcessStatus.read()
        let pipe = Pipe()
        let status = ProcessStatus.read()
        withExtendedLifetime(pipe) {}
        #expect(before.openDescriptors > 3 && status.openDescriptors > 3)
        #expect(status.maxDescriptors >= status.openDescriptors)
        #expect(status.residentBytes > 1 << 20 && status.cpuSeconds >= before.cpuSeconds && status.cpuSeconds > 0)
        let now = Date().timeIntervalSince1970
        #expect(status.startTime < now && status.startTime > now - 86_400)
    }

    @Test("The article's table of metrics is the program's")
    func article() throws {
        let path = "\(Repository.root)/Sources/SluiceGateway/SluiceGateway.docc/Protocol.md"
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map(String.init)
        let rows = lines.filter {
            $0.contains(/^\| `(sluice|process)_[^`]+` \| (counter|gauge|histogram|info) \|/)
        }
        let metrics = Self.page.metrics
        let expected = metrics.map { metric in
            let label = metric.label.map { "{\($0.name)=\"…\"}" } ?? ""
            return "| `\(metric.name)\(label)` | \(metric.kind) | \(metric.help) |"
        }
        // What the values of a label mean stands behind its help.
        let shortened = rows.map { $0.replacing(#/ Values: .*(?= \|$)/#, with: "") }
        #expect(tableChanges(shortened, toBe: expected).isEmpty)
        for metric in metrics {
            let row = rows.first { $0.hasPrefix("| `\(metric.name){") } ?? ""
            for value in metric.label?.values ?? [] { #expect(row.contains("`\(value)`"), "\(metric.name)") }
        }
    }
}
