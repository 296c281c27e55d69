// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// The names that Sluice uses in Redis: the public contract with backends, in one place.
///
/// In a cluster every name carries its partition's hash tag (`sluice:{700}:topic:news`), so that all keys of a partition lie
/// on one server (Redis Cluster specification, "Hash tags").
package struct RedisNames: Sendable {
    /// The tags of the sixteen partitions are its multiples: their slots lie evenly over any number of masters up to eight.
    private static let tagStep = 50

    package let prefix: String
    package let partitioning: Partitioning

    package init(prefix: String, partitioning: Partitioning = .single) {
        self.prefix = prefix
        self.partitioning = partitioning
    }

    /// What all names of a partition have in common, with the colon behind it.
    private func start(_ partition: Partition) -> String {
        switch partitioning {
        case .single: "\(prefix):"
        case .cluster: "\(prefix):\(RedisNames.tag(partition)):"
        }
    }

    /// The hash tag of a cluster's partition.
    package static func tag(_ partition: Partition) -> String {
        "{\(partition.index * tagStep)}"
    }

    private func start(_ target: Target) -> String {
        start(partitioning.partition(of: target))
    }

    /// nil if `prefix` can be used, else what is wrong with it.
    package static func problem(prefix: String) -> String? {
        if prefix.isEmpty || prefix.utf8.count > 64 { return "needs 1 to 64 characters" }
        let allowed = prefix.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "._-:".utf8.contains(byte)
            }
        }
        if !allowed { return "may contain letters, digits and . _ - : only" }
        // The function finds the prefix by the first of these.
        if [":topic:", ":client:"].contains(where: { (prefix + ":").contains($0) }) || prefix.hasPrefix(":") {
            return "may not contain \":topic:\" or \":client:\", nor begin with a colon"
        }
        // A log of such a prefix would take the name of another key of ours.
        if [":last", ":once", ":node"].contains(where: prefix.hasSuffix) {
            return "may not end in \":last\", \":once\" or \":node\""
        }
        return nil
    }

    /// The channel of a target, and the stream key of its log.
    package func channel(_ target: Target) -> String {
        "\(start(target))\(target)"
    }

    /// The newest id of a target's log; outlives the log.
    package func marker(_ target: Target) -> String {
        "\(start(target))last:\(target)"
    }

    /// The first result of an idempotency token. No target has a space.
    package func once(_ target: Target, token: String) -> String {
        "\(start(target))once:\(target) \(token)"
    }

    package func clock(_ partition: Partition) -> String { "\(start(partition))clock" }

    /// The channel of orders to all nodes.
    package var control: String { "\(start(.first))control" }

    /// The channel of a node's own ticks of a partition.
    package func node(_ id: String, _ partition: Partition) -> String {
        "\(start(partition))node:\(id)"
    }
}
