// SPDX-License-Identifier: Apache-2.0

/// From where on a client wants its stream.
package enum Resume: Equatable, Sendable {
    /// From now on.
    case fresh
    case after(Cursor)
    /// The whole logs, and a gap where the beginning of one is gone.
    case earliest
    /// What the logs have, whatever is gone.
    case available
    /// It brought something that is no cursor: from now on, and a gap says so.
    case malformed

    /// The same for a broker with so many partitions.
    package func over(_ partitions: Int) -> Resume {
        if case .after(let cursor) = self { .after(cursor.over(partitions)) } else { self }
    }
}
