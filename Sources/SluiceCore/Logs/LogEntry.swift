// SPDX-License-Identifier: Apache-2.0

/// One event as its log keeps it.
package struct LogEntry: Equatable, Sendable {
    package let id: EventID
    /// The id of the event before it in the same log; nil for the first.
    package let previous: EventID?
    package let event: Event

    package init(id: EventID, previous: EventID?, event: Event) {
        self.id = id
        self.previous = previous
        self.event = event
    }
}
