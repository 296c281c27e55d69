// SPDX-License-Identifier: Apache-2.0

/// Some of a broker's partitions.
package struct PartitionSet: OptionSet, Sendable {
    package let rawValue: UInt16

    package init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    package init(_ partition: Partition) {
        rawValue = 1 << UInt16(partition.index)
    }

    package var partitions: [Partition] {
        (0..<UInt16.bitWidth).filter { rawValue & 1 << UInt16($0) != 0 }.map { Partition($0) }
    }
}
