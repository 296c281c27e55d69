// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// A bench's report as one line of JSON.
struct BenchReportJSON: CustomStringConvertible {
    private let report: BenchReport

    init(_ report: BenchReport) {
        self.report = report
    }

    var description: String {
        let counts = report.counts
        let publisher = report.publisher
        var members = [
            ("ok", "\(report.isGood)"),
            ("interrupted", "\(report.isInterrupted)"),
            ("streams", "\(report.streams)"),
            ("opened", "\(counts.opened)"),
            ("refused", "\(counts.refused)"),
            ("closed", "\(counts.closed)"),
            ("open_seconds", decimal(report.openSeconds, 3)),
            ("published", "\(publisher.accepted)"),
            ("publish_failures", "\(publisher.failed)"),
            ("unheard", "\(publisher.unheard)"),
            ("publisher_late_ms", decimal(report.publisherLateness, 3)),
            ("deliveries", "\(counts.deliveries)"),
            ("lost", "\(report.lost)"),
            ("duplicates", "\(counts.duplicates)"),
            ("out_of_order", "\(counts.outOfOrder)"),
            ("seconds", decimal(report.seconds, 3)),
            ("deliveries_per_second", decimal(report.deliveriesPerSecond, 0)),
            ("bytes_per_delivery", decimal(report.perDelivery(Double(counts.bytes)), 1)),
            ("latency_ms", counts.deliveries > 0 ? latency : "null"),
            ("bench_cpu_us_per_delivery", decimal(report.perDelivery(report.ownCPU.total * 1_000_000), 3)),
        ]
        if let server = report.server { members.append(("server", object(members: self.members(server)))) }
        if let problem = counts.firstProblem ?? publisher.firstFailure {
            members.append(("first_problem", JSONText.quoted(problem)))
        }
        return object(members: members)
    }

    private var latency: String {
        object(members: report.percentiles.map { ($0.name, decimal($0.value, 3)) })
    }

    private func members(_ server: BenchReport.Server) -> [(String, String)] {
        let members = [
            ("open_cpu_us_per_stream", decimal(report.perStream(server.opening.total * 1_000_000), 2)),
            ("hold_cpu_seconds", decimal(server.holding.total, 2)),
            ("memory_kib_before", "\(server.memoryBefore)"),
            ("memory_kib_idle", "\(server.memoryIdle)"),
            ("memory_kib_end", "\(server.memoryEnd)"),
            ("memory_kib_per_stream", decimal(report.memoryPerStream(server), 2)),
        ]
        guard report.counts.deliveries > 0 else { return members }
        return members + [
            ("cpu_us_per_delivery", decimal(report.perDelivery(server.publishing.total * 1_000_000), 3)),
            ("user_us_per_delivery", decimal(report.perDelivery(server.publishing.user * 1_000_000), 3)),
            ("system_us_per_delivery", decimal(report.perDelivery(server.publishing.system * 1_000_000), 3)),
        ]
    }

    private func object(members: [(String, String)]) -> String {
        "{" + members.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
    }

    private func decimal(_ value: Double, _ places: Int) -> String {
        DecimalText(value, places: places).description
    }
}
