// SPDX-License-Identifier: Apache-2.0

/// An event of one target that this node has had.
package struct HeardEvent: Hashable, Sendable {
    package let target: Target
    package let id: EventID
    /// It has closed its topic.
    package let ends: Bool

    package init(_ target: Target, _ id: EventID, ends: Bool) {
        self.target = target
        self.id = id
        self.ends = ends
    }
}

/// What this node has heard and the data set may have lost.
package struct HeardReport: Equatable, Sendable {
    package struct Item: Equatable, Sendable {
        package let event: HeardEvent
        /// Up to here the data set has all that the node has heard of the target.
        package let since: EventID

        package init(_ event: HeardEvent, since: EventID) {
            self.event = event
            self.since = since
        }
    }

    package let items: [Item]

    package init(_ items: [Item]) {
        self.items = items
    }

    /// Up to here it has all of all targets.
    package var since: EventID { items.map(\.since).min() ?? .zero }
}
