// SPDX-License-Identifier: Apache-2.0

/// A part of a broker's targets with a clock of its own, and with logs that lie on one server.
///
/// The order of ids is the order of publishing within a partition only.
package struct Partition: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// From 0 to 15.
    package let index: Int

    package init(_ index: Int) {
        self.index = index
    }

    /// The only one of a broker that is one server.
    package static let first = Partition(0)

    package static func < (left: Partition, right: Partition) -> Bool {
        left.index < right.index
    }

    package var description: String { "\(index)" }
}

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

    package var partitions: [Partition] { (0..<count).map { Partition($0) } }

    package func partition(of target: Target) -> Partition {
        switch self {
        case .single: .first
        case .cluster: Partition(Int(KeyHash.crc16(target.description.utf8)) % Partitioning.clusterCount)
        }
    }
}
