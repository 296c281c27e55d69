// SPDX-License-Identifier: Apache-2.0

/// Some events of one log that a node has heard, and that the data set lacks since it went back to an older state.
///
/// The chain does not show them: whoever published next took no notice of them.
package struct Hole: Hashable, Sendable {
    /// The last event before them; `.zero`: there was none, or it is not known.
    package let from: EventID
    /// They are later than this.
    package let after: EventID
    /// The newest of them.
    package let upTo: EventID
    /// What the data set's clock said when it was found out; `.zero`: that is not known.
    package let found: EventID
    /// All that is lost, as far as this node knows; empty: that is not known.
    package var ids: [EventID] = []

    package init(from: EventID, after: EventID, upTo: EventID, found: EventID = .zero) {
        self.from = from
        self.after = after
        self.upTo = upTo
        self.found = found
    }

    /// nil if these are not the ids of one.
    package init?(_ words: some Collection<some Collection<UInt8>>) {
        let ids = words.compactMap { EventID($0) }
        guard (3...4).contains(words.count), ids.count == words.count, ids[0] <= ids[1], ids[1] < ids[2] else {
            return nil
        }
        self.init(from: ids[0], after: ids[1], upTo: ids[2], found: ids.count > 3 ? ids[3] : .zero)
    }

    /// Whether something of it lies between the two.
    func touches(after start: EventID, upTo end: EventID) -> Bool {
        after < end && upTo > start && (ids.isEmpty || ids.contains { $0 > start && $0 <= end })
    }

    /// The data set told a client this place when it was not known yet that it lacks what is before: whoever comes back with it
    /// was not told, unless it was still there.
    func wasUnknown(at cursor: EventID) -> Bool {
        upTo < cursor && cursor <= found && cursor.runSecond != nil && cursor.runSecond == found.runSecond
    }

    /// What a stream is told of it.
    package func gap(of target: Target) -> Gap {
        Gap(from: from > .zero ? from : nil, to: upTo, targets: [target])
    }

    /// Parses the message that tells of one on its log's channel; nil for anything else.
    package init?(notice payload: UnsafeRawBufferPointer) {
        guard payload.count > 1, payload[0] == Envelope.mark, payload[1] == UInt8(ascii: "l") else { return nil }
        let words = payload.dropFirst().split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard words.first?.elementsEqual("lost".utf8) == true else { return nil }
        self.init(words.dropFirst())
    }
}
