// SPDX-License-Identifier: Apache-2.0

extension Report {
    private static let nameWidth = 16

    /// For a person: a line for each thing.
    package var text: String {
        var lines = [opening]
        if publisher.sent > 0 { lines += deliveries }
        if let server { lines += self.lines(server) }
        lines += notes
        return lines.map { name, value in
            name + String(repeating: " ", count: max(1, Report.nameWidth - name.count)) + value + "\n"
        }.joined()
    }

    private var opening: (String, String) {
        let opened = "\(counts.opened) of \(streams) open after \(decimal(openSeconds, 2)) s"
        return ("streams", "\(opened); \(counts.refused) refused, \(counts.closed) closed by the server")
    }

    private var deliveries: [(String, String)] {
        let late = decimal(publisherLateness, 1)
        let perSecond = decimal(deliveriesPerSecond, 0)
        let bytes = decimal(perDelivery(Double(counts.bytes)), 0)
        var lines = [
            ("published", "\(publisher.accepted), \(publisher.failed) failed; at most \(late) ms late"),
            (
                "deliveries",
                "\(counts.deliveries) in \(decimal(seconds, 3)) s: \(perSecond) a second, \(bytes) bytes each"
            ),
            ("faults", "\(lost) lost, \(counts.duplicates) duplicates, \(counts.outOfOrder) out of order"),
        ]
        guard counts.deliveries > 0 else { return lines }
        let latencies = percentiles.map { "\($0.name) \(decimal($0.value, 3))" }
        lines.append(("latency, ms", latencies.joined(separator: "  ")))
        let cpu = decimal(perDelivery(ownCPU.total * 1_000_000), 2)
        lines.append(("bench CPU", "\(cpu) µs per delivery"))
        return lines
    }

    private func lines(_ server: Server) -> [(String, String)] {
        let memory = decimal(memoryPerStream(server), 2)
        let steps = "\(server.memoryBefore) before, \(server.memoryIdle) with all open, \(server.memoryEnd) at the end"
        var lines = [
            ("server memory", "\(memory) KiB per stream (KiB: \(steps))"),
            ("server CPU", "\(decimal(perStream(server.opening.total * 1_000_000), 1)) µs to open a stream"),
        ]
        guard counts.deliveries > 0 else { return lines }
        let parts = [server.publishing.total, server.publishing.user, server.publishing.system].map {
            decimal(perDelivery($0 * 1_000_000), 2)
        }
        lines.append(("", "\(parts[0]) µs per delivery (user \(parts[1]), system \(parts[2]))"))
        return lines
    }

    private var notes: [(String, String)] {
        var notes: [(String, String)] = []
        if let problem = counts.firstProblem { notes.append(("first problem", problem)) }
        if let problem = publisher.firstFailure { notes.append(("publishing", problem)) }
        if publisher.accepted > 0, publisher.unheard == publisher.accepted {
            notes.append(("note", "Redis says that nobody listens to what was published: is it the streams' topic?"))
        }
        let load = ownSeconds > 0 ? ownCPU.total / ownSeconds : 0
        if ownSeconds > 0.5, load > 0.85 {
            notes.append(
                ("note", "the bench itself used \(decimal(100 * load, 0)) % of a core: part of the latency is its own"))
        }
        if isInterrupted { notes.append(("note", "interrupted")) }
        return notes
    }
}
