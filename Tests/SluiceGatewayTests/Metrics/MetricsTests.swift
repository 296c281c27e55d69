// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOCore
import SluiceGateway
import SluiceRedis
import TestSupport
import Testing

@Suite("Metrics")
struct MetricsTests {
    @Test("Each has a name of its own, as Prometheus wants it, and a meaning")
    func names() {
        let all = Counters().all
        #expect(Set(all.map(\.name)).count == all.count && all.count > 30)
        for metric in all {
            #expect(metric.name.wholeMatch(of: /[a-z][a-z0-9_]*/) != nil, "\(metric.name)")
            #expect((type(of: metric).kind == "counter") == metric.name.hasSuffix("_total"), "\(metric.name)")
            #expect(metric.help.hasSuffix(".") && !metric.help.contains("\n"), "\(metric.name)")
        }
    }

    @Test("The page says of each what it is, and then its number")
    func page() {
        let counters = Counters()
        counters.streamsOpen.add(3)
        counters.streamsOpen.add(-1)
        counters.gaps.add(2)
        let text = counters.text
        #expect(
            text.hasPrefix(
                """
                # HELP sluice_streams_open Streams that are open now.
                # TYPE sluice_streams_open gauge
                sluice_streams_open 2
                # HELP sluice_streams_opened_total Streams opened.
                # TYPE sluice_streams_opened_total counter
                sluice_streams_opened_total 0

                """))
        #expect(text.contains("# TYPE sluice_gaps_total counter\nsluice_gaps_total 2\n"))
    }

    @Test("A name is said once for all its labels, and a label is shown once it has come")
    func labels() {
        let counters = Counters()
        #expect(counters.redisRefusals.text.isEmpty && !counters.text.contains("redis_refusals"))
        counters.redisRefusals[.noperm].add(2)
        counters.redisRefusals[.oom].add(1)
        #expect(
            counters.redisRefusals.text == """
                # HELP sluice_redis_refusals_total Commands that Redis refused, by what it said.
                # TYPE sluice_redis_refusals_total counter
                sluice_redis_refusals_total{code="OOM"} 1
                sluice_redis_refusals_total{code="NOPERM"} 2

                """)
    }

    @Test("A gauge with labels shows all of them, also when they are nothing")
    func labelledGauge() {
        let gauges = Labelled<RedisRefusal, Gauge>("a", "code", "b.")
        gauges[.busy].set(7)
        gauges[.busy].set(0)
        #expect(gauges.samples.count == RedisRefusal.allCases.count)
    }

    @Test("A histogram counts a time in the first bucket that it fits into and in all above")
    func histogram() {
        let times = TimeHistogram("a_seconds", upTo: [.milliseconds(1), .microseconds(2500), .seconds(1)], "b.")
        for time in [TimeAmount.zero, .milliseconds(1), .nanoseconds(1_000_001), .seconds(1), .seconds(2)] {
            times.observe(time)
        }
        #expect(
            times.text == """
                # HELP sluice_a_seconds b.
                # TYPE sluice_a_seconds histogram
                sluice_a_seconds_bucket{le="0.001"} 2
                sluice_a_seconds_bucket{le="0.0025"} 3
                sluice_a_seconds_bucket{le="1.0"} 4
                sluice_a_seconds_bucket{le="+Inf"} 5
                sluice_a_seconds_sum 3.002000001
                sluice_a_seconds_count 5

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
        #expect(counters.text.contains("\nsluice_feed_seconds_bucket{le=\"0.005\"} 8000\n"))
        #expect(counters.text.contains("\nsluice_feed_seconds_sum 24.0\nsluice_feed_seconds_count 8000\n"))
    }

    @Test("The article's table of metrics is the program's")
    func article() throws {
        let path = "\(Repository.root)/Sources/SluiceGateway/SluiceGateway.docc/Protocol.md"
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map(String.init)
        let rows = lines.filter { $0.hasPrefix("| `sluice_") && $0.split(separator: "|").count == 3 }
        let metrics = Counters().all
        let expected = metrics.map { metric in
            let label = metric.label.map { "{\($0.name)=\"…\"}" } ?? ""
            return "| `sluice_\(metric.name)\(label)` | \(type(of: metric).kind) | \(metric.help) |"
        }
        // What the values of a label mean stands behind its help.
        let shortened = rows.map { $0.replacing(/: `.*(?= \|$)/, with: ".") }
        #expect(tableChanges(shortened, toBe: expected).isEmpty)
        for metric in metrics {
            let row = rows.first { $0.hasPrefix("| `sluice_\(metric.name){") } ?? ""
            for value in metric.label?.values ?? [] { #expect(row.contains("`\(value)`"), "\(metric.name)") }
        }
    }
}
