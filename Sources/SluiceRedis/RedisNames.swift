// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// The names that Sluice uses in Redis: the public contract with backends, in one place.
///
/// In a cluster every name carries its partition's hash tag (`sluice:{700}:topic:news`), so that all keys of a partition lie
/// on one server (Redis Cluster specification, "Hash tags").
package struct RedisNames: Sendable {
    /// The tags of the sixteen partitions are its multiples: their slots lie evenly over any number of masters up to eight.
    private static let tagStep = 50
    private static let tagDigitsMax = 3
    private static let slotCount = 16_384

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

    /// The slot of all names of a cluster's partition.
    package static func slot(_ partition: Partition) -> Int {
        Int(KeyHash.crc16("\(partition.index * tagStep)".utf8)) % slotCount
    }

    /// The partition of a name of ours in a cluster; nil if it has no tag of ours.
    package static func partition(of name: UnsafeRawBufferPointer) -> Partition? {
        guard let open = name.firstIndex(of: UInt8(ascii: "{")) else { return nil }
        var number = 0
        for byte in name[(open + 1)...].prefix(tagDigitsMax + 1) {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): number = number * 10 + Int(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "}"):
                let (index, rest) = number.quotientAndRemainder(dividingBy: tagStep)
                return rest == 0 && index < Partitioning.clusterCount ? Partition(index) : nil
            default: return nil
            }
        }
        return nil
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

    /// The keys that publishing to a target has to declare. In a cluster they are all that it touches: while a slot moves, a
    /// key that is not declared may be elsewhere.
    func keys(_ target: Target, once token: String?) -> [String] {
        switch partitioning {
        case .single: [channel(target)]
        case .cluster:
            [channel(target), marker(target), clock(partitioning.partition(of: target))]
                + (token.map { [once(target, token: $0)] } ?? [])
        }
    }

    package func clock(_ partition: Partition) -> String { "\(start(partition))clock" }

    /// The channel of orders to all nodes.
    package var control: String { "\(start(.first))control" }

    /// The list of the nodes in the registry.
    package var nodes: String { "\(start(.first))nodes" }

    /// The stream of who comes and goes.
    package var presence: String { "\(start(.first))presence" }

    /// Who is there.
    package var online: String { "\(start(.first))online" }

    /// The channel of a node's own ticks of a partition; of the first one also of answers to it, and its registry entry.
    package func node(_ id: String, _ partition: Partition) -> String {
        "\(start(partition))node:\(id)"
    }
}
