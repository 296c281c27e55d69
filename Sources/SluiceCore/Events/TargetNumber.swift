// SPDX-License-Identifier: Apache-2.0

/// A target that this node listens to, as a number: never given out twice in a node's life, so that what
/// the ring still holds of a target that is gone can't be mistaken for another's.
package struct TargetNumber: Hashable, Comparable, Sendable {
    private static let partitionShift: UInt64 = 56

    /// The partition in the highest bits.
    package let rawValue: UInt64

    package init(_ serial: UInt64, in partition: Partition = .first) {
        rawValue = UInt64(partition.index) << TargetNumber.partitionShift | serial
    }

    package var serial: UInt64 { rawValue & (1 << TargetNumber.partitionShift - 1) }

    package var partition: Partition { Partition(Int(rawValue >> TargetNumber.partitionShift)) }

    package static func < (left: TargetNumber, right: TargetNumber) -> Bool {
        left.rawValue < right.rawValue
    }
}
