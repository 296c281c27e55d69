// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// Commands that wait until their partition can be spoken to again, in the order in which they came.
struct ClusterQueue {
    /// How long a partition is waited for in all. Whoever comes later is told at once, or its callers would pile up.
    private static let troubleMax = TimeAmount.seconds(2)
    /// Whoever comes so long after the last that waited begins anew.
    private static let memory = TimeAmount.seconds(10)

    struct Command {
        let command: RESPCommand
        let partition: Partition
        var attempts: ClusterAttempts
        let promise: EventLoopPromise<RESPValue>

        init(
            _ command: RESPCommand, of partition: Partition, attempts: ClusterAttempts,
            promise: EventLoopPromise<RESPValue>
        ) {
            self.command = command
            self.partition = partition
            self.attempts = attempts
            self.promise = promise
        }

        fileprivate var bytes: Int { command.words.reduce(0) { $0 + $1.readableBytes } }
    }

    private struct Lane {
        var commands: [Command] = []
        var isScheduled = false
        /// When the first command could not be carried out since one was, and when one was last put here.
        var trouble: (since: NIODeadline, last: NIODeadline)?
        var backoff = Backoff(first: .milliseconds(20), last: .milliseconds(200))
    }

    private var lanes = [Lane](repeating: Lane(), count: Partitioning.clusterCount)
    private(set) var bytes = 0

    func isWaiting(_ partition: Partition) -> Bool { !lanes[partition.index].commands.isEmpty }

    /// When nothing of a partition is to wait any longer.
    func limit(_ partition: Partition, now: NIODeadline) -> NIODeadline {
        (trouble(partition, now: now)?.since ?? now) + ClusterQueue.troubleMax
    }

    private func trouble(_ partition: Partition, now: NIODeadline) -> (since: NIODeadline, last: NIODeadline)? {
        lanes[partition.index].trouble.flatMap { now - $0.last < ClusterQueue.memory ? $0 : nil }
    }

    /// - Returns: when to ``take(_:)`` what waits; nil: at a time that was returned before.
    mutating func add(
        _ command: Command, now: NIODeadline, using generator: inout some RandomNumberGenerator
    ) -> NIODeadline? {
        bytes += command.bytes
        let index = command.partition.index
        lanes[index].commands.append(command)
        lanes[index].trouble = (trouble(command.partition, now: now)?.since ?? now, now)
        guard !lanes[index].isScheduled else { return nil }
        lanes[index].isScheduled = true
        return now + lanes[index].backoff.next(using: &generator)
    }

    mutating func take(_ partition: Partition) -> [Command] {
        defer { lanes[partition.index].commands = [] }
        lanes[partition.index].isScheduled = false
        let commands = lanes[partition.index].commands
        bytes -= commands.reduce(0) { $0 + $1.bytes }
        return commands
    }

    mutating func takeAll() -> [Command] {
        Partitioning.cluster.partitions.flatMap { take($0) }
    }

    /// A command of this partition was carried out.
    mutating func succeeded(_ partition: Partition) {
        guard lanes[partition.index].trouble != nil else { return }
        lanes[partition.index].trouble = nil
        lanes[partition.index].backoff.reset()
    }
}
