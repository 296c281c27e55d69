// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// All that `/metrics` shows: what the node has counted, and what is looked up when somebody asks.
package struct MetricsPage: Sendable {
    private let counters: Counters
    private let status: NodeStatus
    private let streamsMax: Int

    package init(counters: Counters, status: NodeStatus, streamsMax: Int) {
        self.counters = counters
        self.status = status
        self.streamsMax = streamsMax
    }

    /// In the order of the page. Not for an event loop: see ``ProcessStatus/read()``.
    package var metrics: [any Metric] {
        counters.all + node + MetricsPage.metrics(of: ProcessStatus.read())
    }

    package func text(_ format: MetricsFormat) -> String {
        metrics.map { $0.text(format) }.joined() + format.end
    }

    private var node: [any Metric] {
        [
            Reading(
                "sluice_feed_up", .gauge, "partition",
                "Whether events of a partition of Redis arrive: 1, or 0 while its server is away; a lone server is partition 0.",
                status.partitions.partitions.map {
                    ("\($0)", status.feeds.contains(PartitionSet($0)) ? "1" : "0")
                }),
            Reading(
                "sluice_streams_open", .gauge, "The sum of sluice_streams, for who reads the name of old.",
                "\(counters.streamsOpen.value)"),
            Reading(
                "sluice_streams_max", .gauge,
                "Streams that may be open: --max-streams, or what the limit of descriptors allows.", "\(streamsMax)"),
            Reading(
                "sluice_build_info", .info, "version", "The version of Sluice that runs, in its label.",
                [(NodeVersion.current, "1")]),
        ]
    }

    private static func metrics(of process: ProcessStatus) -> [any Metric] {
        [
            Reading(
                "process_open_fds", .gauge,
                "Descriptors that are open: one for each connection, and some dozen besides.",
                "\(process.openDescriptors)"),
            Reading(
                "process_max_fds", .gauge,
                "Descriptors that may be open; raise it with LimitNOFILE= or ulimit -n before they run out.",
                "\(process.maxDescriptors)"),
            Reading(
                "process_resident_memory_bytes", .gauge, "Memory of the process that is in RAM.",
                "\(process.residentBytes)"),
            Reading(
                "process_cpu_seconds_total", .counter,
                "CPU time that the process has used; a second per second is one core.", "\(process.cpuSeconds)"),
            Reading(
                "process_start_time_seconds", .gauge, "When the process started, in seconds since 1970.",
                "\(process.startTime)"),
        ]
    }
}

/// A metric that nobody counts: it is looked up when somebody asks.
private struct Reading: Metric {
    let name: String
    let kind: MetricKind
    let help: String
    let samples: [MetricSample]
    let labelName: String?

    init(_ name: String, _ kind: MetricKind, _ help: String, _ value: String) {
        self.name = name
        self.kind = kind
        self.help = help
        labelName = nil
        samples = [MetricSample(value)]
    }

    init(
        _ name: String, _ kind: MetricKind, _ label: String, _ help: String, _ values: [(label: String, value: String)]
    ) {
        self.name = name
        self.kind = kind
        self.help = help
        labelName = label
        samples = values.map { MetricSample(labels: [(label, $0.label)], $0.value) }
    }

    var label: (name: String, values: [String])? { labelName.map { ($0, []) } }
}
