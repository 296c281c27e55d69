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
    /// Up to here the data set is the one in which all that was heard.
    package let since: EventID
    package let events: [HeardEvent]
    /// What its streams were told as their place while the data set was already given out ids by somebody else.
    package let doubt: Doubt?

    package init(since: EventID, _ events: [HeardEvent], doubt: Doubt? = nil) {
        self.since = since
        self.events = events
        self.doubt = doubt
    }
}
