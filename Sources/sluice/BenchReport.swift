// SPDX-License-Identifier: Apache-2.0
import Histogram
import SluiceCore

/// What a run of the load generator has found.
struct BenchReport: Sendable {
    var streams: Int
    var counts: BenchStreams.Counts
    var connectSeconds: Double
    var published: Int
    var lost: Int
    /// From the first message sent to the last one received.
    var seconds: Double
    var latencies: Histogram<UInt64>
    /// Bytes on the wire for each delivery, what surrounds the message included.
    var bytesPerDelivery: Double
    /// How much later than planned a message was sent, at worst, in nanoseconds.
    var publisherLatest: UInt64
    /// Share of one core that the load generator itself used while messages went out.
    var ownLoad: Double
    /// nil if no process was named.
    var processes: Processes?

    struct Processes: Sendable {
        var bytesPerStream: Double
        var connectMicroseconds: Double
        var userMicroseconds: Double
        var systemMicroseconds: Double
        var memory: Int
    }

    var isGood: Bool {
        counts.refused == 0 && lost == 0 && counts.duplicates == 0 && counts.late == 0
    }

    private var deliveriesPerSecond: Double {
        seconds > 0 ? Double(counts.delivered) / seconds : 0
    }

    private static let percentiles: [(name: String, key: String, value: Double)] = [
        ("p50", "p50", 50), ("p90", "p90", 90), ("p99", "p99", 99), ("p99.9", "p99_9", 99.9), ("max", "max", 100),
    ]

    private func latency(_ percentile: Double) -> String {
        BenchReport.fixed(Double(latencies.valueAtPercentile(percentile)) / 1e6, 3)
    }

    // MARK: For people

    var text: String {
        let opened = counts.open + counts.closed
        var lines = [
            "streams      \(opened) of \(streams) open after \(BenchReport.fixed(connectSeconds, 2)) s"
        ]
        if counts.refused > 0 { lines[0] += "; \(counts.refused) refused: \(counts.refusal ?? "")" }
        if counts.closed > 0 { lines[0] += "; \(counts.closed) closed by the server" }
        if let processes {
            lines.append(
                "memory       \(BenchReport.fixed(processes.bytesPerStream / 1024, 2)) KiB per idle stream; "
                    + "\(BenchReport.fixed(Double(processes.memory) / 1_048_576, 1)) MiB in all at the end")
        }
        guard published > 0 else { return lines.joined(separator: "\n") + "\n" }
        lines.append(
            "published    \(published) messages; delivered \(counts.delivered), lost \(lost), "
                + "duplicates \(counts.duplicates), out of order \(counts.late)")
        lines.append(
            "throughput   \(BenchReport.fixed(deliveriesPerSecond, 0)) deliveries/s over "
                + "\(BenchReport.fixed(seconds, 3)) s, \(BenchReport.fixed(bytesPerDelivery, 1)) bytes each")
        lines.append(
            "latency      "
                + BenchReport.percentiles.map { "\($0.name) \(latency($0.value))" }.joined(separator: ", ") + " ms")
        if let processes {
            let total = processes.userMicroseconds + processes.systemMicroseconds
            lines.append(
                "server CPU   \(BenchReport.fixed(total, 3)) µs per delivery "
                    + "(user \(BenchReport.fixed(processes.userMicroseconds, 3)), "
                    + "system \(BenchReport.fixed(processes.systemMicroseconds, 3))); "
                    + "\(BenchReport.fixed(processes.connectMicroseconds, 1)) µs per connect")
        }
        lines.append(
            "generator    \(BenchReport.fixed(ownLoad * 100, 0)) % of a core; "
                + "sent at most \(BenchReport.fixed(Double(publisherLatest) / 1e6, 3)) ms late")
        return lines.joined(separator: "\n") + "\n"
    }

    // MARK: For programs

    var json: String {
        var members = [
            ("streams", "\(streams)"), ("open", "\(counts.open)"), ("refused", "\(counts.refused)"),
            ("refusal", counts.refusal.map { JSONText.quoted($0) } ?? "null"), ("closed", "\(counts.closed)"),
            ("connect_s", BenchReport.fixed(connectSeconds, 3)), ("published", "\(published)"),
            ("delivered", "\(counts.delivered)"), ("lost", "\(lost)"), ("duplicates", "\(counts.duplicates)"),
            ("out_of_order", "\(counts.late)"), ("seconds", BenchReport.fixed(seconds, 3)),
            ("deliveries_per_s", BenchReport.fixed(deliveriesPerSecond, 0)),
            ("bytes_per_delivery", BenchReport.fixed(bytesPerDelivery, 1)),
        ]
        let latency = BenchReport.percentiles.map { "\"\($0.key)\":\(self.latency($0.value))" }
        members.append(("latency_ms", "{\(latency.joined(separator: ","))}"))
        if let processes {
            let total = processes.userMicroseconds + processes.systemMicroseconds
            members += [
                ("cpu_us_per_delivery", BenchReport.fixed(total, 3)),
                ("user_us_per_delivery", BenchReport.fixed(processes.userMicroseconds, 3)),
                ("system_us_per_delivery", BenchReport.fixed(processes.systemMicroseconds, 3)),
                ("cpu_us_per_connect", BenchReport.fixed(processes.connectMicroseconds, 2)),
                ("memory_bytes_per_stream", BenchReport.fixed(processes.bytesPerStream, 0)),
                ("memory_bytes", "\(processes.memory)"),
            ]
        }
        members.append(("generator_load", BenchReport.fixed(ownLoad, 3)))
        members.append(("publisher_late_ms", BenchReport.fixed(Double(publisherLatest) / 1e6, 3)))
        return "{\(members.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ","))}\n"
    }

    /// A number with so many digits behind the point; the standard library has no such format.
    private static func fixed(_ value: Double, _ digits: Int) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "0" }
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = Int64((abs(value) * scale).rounded())
        let sign = value < 0 && scaled > 0 ? "-" : ""
        guard digits > 0 else { return "\(sign)\(scaled)" }
        let fraction = String(scaled % Int64(scale))
        return "\(sign)\(scaled / Int64(scale))." + String(repeating: "0", count: digits - fraction.utf8.count)
            + fraction
    }
}
