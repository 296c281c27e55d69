// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// One event as its log keeps it.
package struct LogEntry: Equatable, Sendable {
    package let id: EventID
    /// The id of the event before it in the same log; nil for the first.
    package let previous: EventID?
    package let type: String?
    package let key: String?
    package let ends: Bool
    package let data: ByteBuffer

    package init(id: EventID, previous: EventID?, type: String?, key: String?, ends: Bool, data: ByteBuffer) {
        self.id = id
        self.previous = previous
        self.type = type
        self.key = key
        self.ends = ends
        self.data = data
    }
}
