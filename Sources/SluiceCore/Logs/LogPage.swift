// SPDX-License-Identifier: Apache-2.0

/// The newest id of a log, which outlives the log itself.
package struct LogMarker: Equatable, Sendable {
    /// The function keeps fewer, and a publisher may write what it likes.
    private static let holesMax = 16

    package let id: EventID
    /// The newest event has closed the topic.
    package let ends: Bool
    /// What the data set has forgotten, oldest first.
    package let holes: [Hole]

    package init(id: EventID, ends: Bool, holes: [Hole] = []) {
        self.id = id
        self.ends = ends
        self.holes = holes
    }

    /// Parses `<id>` or `<id> end`, and behind it ` lost <from> <after> <up to>` for each hole: the value that the Redis function keeps.
    package init?(_ text: String) {
        let words = text.split(separator: " ")
        guard let id = words.first.flatMap({ EventID($0) }) else { return nil }
        let holes = words.indices.filter { words[$0] == "lost" }.prefix(LogMarker.holesMax).compactMap { index in
            Hole(words[(index + 1)...].prefix(3).map(\.utf8))
        }
        self.init(id: id, ends: words.count > 1 && words[1] == "end", holes: holes)
    }
}

/// A piece of one log: the events after some id, oldest first.
package struct LogPage: Equatable, Sendable {
    /// Read before the entries; nil if there is none.
    package var marker: LogMarker?
    package var entries: [LogEntry]
    /// The log was read up to here; later than the last entry where what follows that is none of ours.
    package var upTo: EventID?
    /// There is nothing behind these.
    package var isLast: Bool

    package init(marker: LogMarker?, entries: [LogEntry], upTo: EventID? = nil, isLast: Bool) {
        self.marker = marker
        self.entries = entries
        self.upTo = upTo
        self.isLast = isLast
    }
}

/// What is to be read of one log.
package struct LogRead: Equatable, Sendable {
    package let target: Target
    /// The entries behind this id.
    package let after: EventID
    /// Of at most so much data, but at least one entry.
    package let bytes: Int

    package init(_ target: Target, after: EventID, bytes: Int) {
        self.target = target
        self.after = after
        self.bytes = bytes
    }

    package enum Outcome: Equatable, Sendable {
        case page(LogPage)
        /// What is stored under the log's name can't be read, also not later: the broker's reason.
        case unreadable(String)
    }
}

/// A reading of the clock, and of some logs' markers.
package struct ClockReading: Equatable, Sendable {
    /// Every event that is published after the reading has a later id.
    package var clock: EventID
    /// When this data set began, in milliseconds since 1970: what is older is not in it.
    package var born: UInt64
    /// Who has given out its ids; empty: that is not known.
    package var lineage: Lineage
    /// In the order in which they were asked for.
    package var markers: [LogMarker?]

    package init(clock: EventID, born: UInt64, lineage: Lineage = Lineage(), markers: [LogMarker?] = []) {
        self.clock = clock
        self.born = born
        self.lineage = lineage
        self.markers = markers
    }
}
