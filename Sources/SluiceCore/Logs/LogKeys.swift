// SPDX-License-Identifier: Apache-2.0

/// Of one log, the newest event of each conflation key: which of its events a later one has made superfluous.
package struct LogKeys: Sendable {
    /// Beyond it new keys are not remembered: their events are all sent, which is no fault, only more.
    private static let countMax = 100_000
    /// What a key costs beside its bytes.
    private static let overhead = 64

    /// It knows what came after this id …
    package let after: EventID
    /// … up to this one.
    package private(set) var upTo: EventID
    /// Everything up to this reading of the clock is in it.
    package private(set) var coveredUpTo = EventID.zero
    /// What it costs in memory, in bytes.
    package private(set) var size = 0
    private var newest: [ExactText: EventID] = [:]

    package init(after id: EventID) {
        after = id
        upTo = id
    }

    /// - Parameter coveredUpTo: if this is the log's last piece: a reading of the clock from before it was read.
    package mutating func note(_ slice: LogSlice, coveredUpTo: EventID) {
        for entry in slice.segment.entries[slice.start...] where entry.id > upTo {
            guard let key = entry.key else { continue }
            if newest.count >= LogKeys.countMax, newest[key] == nil { continue }
            if newest.updateValue(entry.id, forKey: key) == nil { size += key.text.utf8.count + LogKeys.overhead }
        }
        upTo = max(upTo, slice.segment.upTo)
        if slice.isLast { self.coveredUpTo = max(self.coveredUpTo, coveredUpTo) }
    }

    /// Which entries of a segment are superfluous.
    package func superseded(in segment: LogSegment) -> [Bool] {
        segment.entries.map { entry in entry.key.flatMap { newest[$0] }.map { $0 > entry.id } ?? false }
    }
}
