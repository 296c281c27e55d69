// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// What this node says of itself to the registry and to whoever asks how it is.
package final class NodeReporter: Sendable {
    package let node: String
    private let version: String
    private let started: UInt64
    private let listen: String
    private let counters: Counters
    private let status: NodeStatus
    private let problem: @Sendable (NIODeadline) -> String?

    /// - Parameters:
    ///   - started: in milliseconds since 1970.
    ///   - listen: where its public listener is.
    ///   - problem: why it should not be given new streams; nil: it should.
    package init(
        node: String, version: String, started: UInt64, listen: String, counters: Counters, status: NodeStatus,
        problem: @escaping @Sendable (NIODeadline) -> String?
    ) {
        self.node = node
        self.version = version
        self.started = started
        self.listen = listen
        self.counters = counters
        self.status = status
        self.problem = problem
    }

    func entry(now: NIODeadline) -> NodeEntry {
        NodeEntry(
            version: version, started: Int(clamping: started), listen: listen, streams: counters.streamsOpen.value,
            isReady: problem(now) == nil, isDraining: status.isDraining)
    }

    /// - Parameter silence: for how long the quietest partition's feed has brought nothing.
    func report(
        silence: TimeAmount, slowest: [SlowStream], process: ProcessStatus, partitioning: Partitioning, now: NIODeadline
    ) -> NodeReport {
        var report = NodeReport(entry: entry(now: now))
        report.problem = problem(now)
        let up = status.feeds
        report.partitionsDown = partitioning.partitions.filter { !up.contains(PartitionSet($0)) }.map(\.index)
        report.silent = Double(silence.nanoseconds) / 1e9
        report.slowest = slowest
        report.behind = counters.streamsBehind.value
        report.gaps = counters.gaps.value
        report.shed = counters.streamsShed.value
        report.eventsIn = counters.eventsReceived.value
        report.eventsOut = counters.eventsDelivered.value
        report.memory = process.residentBytes
        report.descriptors = process.openDescriptors
        report.descriptorsMax = process.maxDescriptors
        return report
    }
}
