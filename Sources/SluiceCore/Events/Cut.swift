// SPDX-License-Identifier: Apache-2.0

/// A place in the order of one node's events: of each partition, everything up to an id.
///
/// With one partition it is that id and nothing else, and costs no memory of its own.
package struct Cut: Hashable, Sendable {
    private var first: EventID
    /// Of the partitions from the second on.
    private var others: [EventID]

    /// The same place in each partition.
    package init(_ id: EventID, count: Int = 1) {
        first = id
        others = count > 1 ? Array(repeating: id, count: count - 1) : []
    }

    /// How many partitions there are.
    package var count: Int { others.count + 1 }

    /// A place without partitions is the same in each.
    package subscript(partition: Partition) -> EventID {
        get { partition.index == 0 || others.isEmpty ? first : others[partition.index - 1] }
        set { if partition.index == 0 { first = newValue } else { others[partition.index - 1] = newValue } }
    }

    /// Moves a partition forward, never back.
    package mutating func raise(_ partition: Partition, to id: EventID) {
        if id > self[partition] { self[partition] = id }
    }

    /// Moves each partition forward, never back.
    package mutating func raise(to other: Cut) {
        first = max(first, other.first)
        guard !others.isEmpty else { return }
        for index in others.indices where other.others[index] > others[index] { others[index] = other.others[index] }
    }

    package func with(_ id: EventID, in partition: Partition) -> Cut {
        var cut = self
        cut[partition] = id
        return cut
    }
}
