// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import Synchronization

/// Whether this node should be given new streams; read by every loop.
package final class NodeStatus: Sendable {
    /// A feed that is down for less is not worth a change of the load balancer.
    private static let grace = TimeAmount.seconds(5)

    /// The broker's partitions; none before the node has its hub.
    private let known = Atomic<UInt16>(0)
    /// The partitions whose feed is up.
    private let up = Atomic<UInt16>(0)
    /// When the last feed that was up went down, in nanoseconds of the loop's clock; 0: one is up.
    private let downSince = Atomic<UInt64>(1)
    private let draining = Atomic<Bool>(false)

    package init() {}

    package func serves(_ partitions: PartitionSet) {
        known.store(partitions.rawValue, ordering: .relaxed)
    }

    /// All partitions of the broker.
    package var partitions: PartitionSet { PartitionSet(rawValue: known.load(ordering: .relaxed)) }

    package func feedIsUp(_ partition: Partition = .first) {
        up.bitwiseOr(PartitionSet(partition).rawValue, ordering: .relaxed)
        downSince.store(0, ordering: .relaxed)
    }

    package func feedIsDown(_ partition: Partition = .first, now: NIODeadline) {
        let left = up.bitwiseAnd(~PartitionSet(partition).rawValue, ordering: .relaxed).newValue
        guard left == 0 else { return }
        // It may go down again before it is up: the time counts from the first.
        _ = downSince.compareExchange(expected: 0, desired: now.uptimeNanoseconds, ordering: .relaxed)
    }

    /// The partitions whose feed is up.
    package var feeds: PartitionSet { PartitionSet(rawValue: up.load(ordering: .relaxed)) }

    package func beginDrain() {
        draining.store(true, ordering: .relaxed)
    }

    package var isDraining: Bool { draining.load(ordering: .relaxed) }

    /// nil if ready, else why not. A node without some of its partitions is of more use than none.
    ///
    /// - Parameter forgivesOutage: a feed that was up once, however long it has been down, is none of the asker's business:
    ///   what all nodes share is away for all of them, and another one would serve no better.
    package func problem(now: NIODeadline, forgivesOutage: Bool = false) -> String? {
        if isDraining { return "draining" }
        let since = downSince.load(ordering: .relaxed)
        if since == 0 { return nil }
        // 1: it was never up.
        let isOutage = since > 1 && (forgivesOutage || now - .uptimeNanoseconds(since) < NodeStatus.grace)
        return isOutage ? nil : "no feed from the broker"
    }
}
