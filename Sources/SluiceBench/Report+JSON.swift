// SPDX-License-Identifier: Apache-2.0
import SluiceCore

extension Report {
    /// One line of JSON.
    package var json: String {
        var members = [
            ("ok", "\(isGood)"),
            ("interrupted", "\(isInterrupted)"),
            ("streams", "\(streams)"),
            ("opened", "\(counts.opened)"),
            ("refused", "\(counts.refused)"),
            ("closed", "\(counts.closed)"),
            ("open_seconds", decimal(openSeconds, 3)),
            ("published", "\(publisher.accepted)"),
            ("publish_failures", "\(publisher.failed)"),
            ("unheard", "\(publisher.unheard)"),
            ("publisher_late_ms", decimal(publisherLateness, 3)),
            ("deliveries", "\(counts.deliveries)"),
            ("lost", "\(lost)"),
            ("duplicates", "\(counts.duplicates)"),
            ("out_of_order", "\(counts.outOfOrder)"),
            ("seconds", decimal(seconds, 3)),
            ("deliveries_per_second", decimal(deliveriesPerSecond, 0)),
            ("bytes_per_delivery", decimal(perDelivery(Double(counts.bytes)), 1)),
            ("latency_ms", counts.deliveries > 0 ? latencies : "null"),
            ("bench_cpu_us_per_delivery", decimal(perDelivery(ownCPU.total * 1_000_000), 3)),
        ]
        if let server { members.append(("server", object(members: fields(server)))) }
        if let problem = counts.firstProblem ?? publisher.firstFailure {
            members.append(("first_problem", JSONText.quoted(problem)))
        }
        return object(members: members)
    }

    private var latencies: String {
        object(members: percentiles.map { ($0.name, decimal($0.value, 3)) })
    }

    private func fields(_ server: Server) -> [(String, String)] {
        let members = [
            ("open_cpu_us_per_stream", decimal(perStream(server.opening.total * 1_000_000), 2)),
            ("hold_cpu_seconds", decimal(server.holding.total, 2)),
            ("memory_kib_before", "\(server.memoryBefore)"),
            ("memory_kib_idle", "\(server.memoryIdle)"),
            ("memory_kib_end", "\(server.memoryEnd)"),
            ("memory_kib_per_stream", decimal(memoryPerStream(server), 2)),
        ]
        guard counts.deliveries > 0 else { return members }
        return members + [
            ("cpu_us_per_delivery", decimal(perDelivery(server.publishing.total * 1_000_000), 3)),
            ("user_us_per_delivery", decimal(perDelivery(server.publishing.user * 1_000_000), 3)),
            ("system_us_per_delivery", decimal(perDelivery(server.publishing.system * 1_000_000), 3)),
        ]
    }

    private func object(members: [(String, String)]) -> String {
        "{" + members.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
    }

    func decimal(_ value: Double, _ places: Int) -> String {
        DecimalText(value, places: places).description
    }
}
