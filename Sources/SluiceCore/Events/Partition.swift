// SPDX-License-Identifier: Apache-2.0

/// A part of a broker's targets with a clock of its own, and with logs that lie on one server.
///
/// The order of ids is the order of publishing within a partition only.
package struct Partition: Hashable, Comparable, Sendable, CustomStringConvertible {
    private let number: UInt8

    /// - Parameter index: from 0 to 15.
    package init(_ index: Int) {
        number = UInt8(index)
    }

    package var index: Int { Int(number) }

    /// The only one of a broker that is one server.
    package static let first = Partition(0)

    package static func < (left: Partition, right: Partition) -> Bool {
        left.number < right.number
    }

    package var description: String { "\(index)" }
}
