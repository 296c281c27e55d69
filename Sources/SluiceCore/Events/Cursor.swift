// SPDX-License-Identifier: Apache-2.0

/// A stream's position in the order of events: what SSE calls the last event id.
///
/// A type of its own, because with Redis Cluster it becomes a short list of `partition.id`.
package struct Cursor: Hashable, Sendable, CustomStringConvertible {
    package let id: EventID

    package init(_ id: EventID) {
        self.id = id
    }

    /// Parses what a client sent back; nil if it is not a cursor of ours (it is hostile input).
    package init?(_ text: some StringProtocol) {
        guard let id = EventID(text) else { return nil }
        self.id = id
    }

    package var description: String {
        id.description
    }
}
