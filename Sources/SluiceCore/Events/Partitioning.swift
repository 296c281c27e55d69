// SPDX-License-Identifier: Apache-2.0

/// How a broker divides its targets.
package enum Partitioning: Sendable {
    /// One server, wherever it is: everything is in one partition.
    case single
    /// A Redis Cluster: sixteen partitions, however many masters there are, so that a change of their number moves partitions
    /// and divides none.
    case cluster

    package static let clusterCount = 16

    package var count: Int {
        switch self {
        case .single: 1
        case .cluster: Partitioning.clusterCount
        }
    }

    package var all: PartitionSet { PartitionSet(partitions.map { PartitionSet($0) }) }

    package var partitions: [Partition] { (0..<count).map { Partition($0) } }

    /// Those of a stream with these targets: what goes to everybody is its own, too.
    package func partitions(of targets: [Target]) -> PartitionSet {
        switch self {
        case .single: PartitionSet(.first)
        case .cluster:
            targets.reduce(PartitionSet(partition(of: .all))) { $0.union(PartitionSet(partition(of: $1))) }
        }
    }

    package func partition(of target: Target) -> Partition {
        switch self {
        case .single: .first
        case .cluster: Partition(Int(KeyHash.crc16(target.description.utf8)) % Partitioning.clusterCount)
        }
    }
}
