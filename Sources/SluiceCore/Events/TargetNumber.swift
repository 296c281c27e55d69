// SPDX-License-Identifier: Apache-2.0

/// A target that this node listens to, as a number: never given out twice in a node's life, so that what
/// the ring still holds of a target that is gone can't be mistaken for another's.
package struct TargetNumber: Hashable, Comparable, Sendable {
    package let rawValue: UInt64

    package init(_ rawValue: UInt64) {
        self.rawValue = rawValue
    }

    package static func < (left: TargetNumber, right: TargetNumber) -> Bool {
        left.rawValue < right.rawValue
    }
}
