// SPDX-License-Identifier: Apache-2.0

/// A bench's report for a person: a line for each thing.
struct BenchReportText: CustomStringConvertible {
    private static let nameWidth = 16

    private let report: BenchReport

    init(_ report: BenchReport) {
        self.report = report
    }

    var description: String {
        var lines = [streams]
        if report.publisher.sent > 0 { lines += deliveries }
        if let server = report.server { lines += self.lines(server) }
        lines += notes
        return lines.map { name, value in
            name + String(repeating: " ", count: max(1, BenchReportText.nameWidth - name.count)) + value + "\n"
        }.joined()
    }

    private var streams: (String, String) {
        let counts = report.counts
        let opened = "\(counts.opened) of \(report.streams) open after \(decimal(report.openSeconds, 2)) s"
        return ("streams", "\(opened); \(counts.refused) refused, \(counts.closed) closed by the server")
    }

    private var deliveries: [(String, String)] {
        let counts = report.counts
        let publisher = report.publisher
        let late = decimal(report.publisherLateness, 1)
        let perSecond = decimal(report.deliveriesPerSecond, 0)
        let bytes = decimal(report.perDelivery(Double(counts.bytes)), 0)
        var lines = [
            ("published", "\(publisher.accepted), \(publisher.failed) failed; at most \(late) ms late"),
            (
                "deliveries",
                "\(counts.deliveries) in \(decimal(report.seconds, 3)) s: \(perSecond) a second, \(bytes) bytes each"
            ),
            ("faults", "\(report.lost) lost, \(counts.duplicates) duplicates, \(counts.outOfOrder) out of order"),
        ]
        guard counts.deliveries > 0 else { return lines }
        let latency = report.percentiles.map { "\($0.name) \(decimal($0.value, 3))" }
        lines.append(("latency, ms", latency.joined(separator: "  ")))
        let cpu = decimal(report.perDelivery(report.ownCPU.total * 1_000_000), 2)
        lines.append(("bench CPU", "\(cpu) µs per delivery"))
        return lines
    }

    private func lines(_ server: BenchReport.Server) -> [(String, String)] {
        let perStream = decimal(report.memoryPerStream(server), 2)
        let steps = "\(server.memoryBefore) before, \(server.memoryIdle) with all open, \(server.memoryEnd) at the end"
        var lines = [
            ("server memory", "\(perStream) KiB per stream (KiB: \(steps))"),
            ("server CPU", "\(decimal(report.perStream(server.opening.total * 1_000_000), 1)) µs to open a stream"),
        ]
        guard report.counts.deliveries > 0 else { return lines }
        let parts = [server.publishing.total, server.publishing.user, server.publishing.system].map {
            decimal(report.perDelivery($0 * 1_000_000), 2)
        }
        lines.append(("", "\(parts[0]) µs per delivery (user \(parts[1]), system \(parts[2]))"))
        return lines
    }

    private var notes: [(String, String)] {
        var notes: [(String, String)] = []
        if let problem = report.counts.firstProblem { notes.append(("first problem", problem)) }
        if let problem = report.publisher.firstFailure { notes.append(("publishing", problem)) }
        if report.publisher.accepted > 0, report.publisher.unheard == report.publisher.accepted {
            notes.append(("note", "Redis says that nobody listens to what was published: is it the streams' topic?"))
        }
        let load = report.ownSeconds > 0 ? report.ownCPU.total / report.ownSeconds : 0
        if report.ownSeconds > 0.5, load > 0.85 {
            notes.append(
                ("note", "the bench itself used \(decimal(100 * load, 0)) % of a core: part of the latency is its own"))
        }
        if report.isInterrupted { notes.append(("note", "interrupted")) }
        return notes
    }

    private func decimal(_ value: Double, _ places: Int) -> String {
        DecimalText(value, places: places).description
    }
}
