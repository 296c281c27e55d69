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
    /// All that is lost, as far as this node knows; empty: that is not known.
    package var ids: [EventID] = []

    package init(from: EventID, after: EventID, upTo: EventID) {
        self.from = from
        self.after = after
        self.upTo = upTo
    }

    /// nil if these are not the ids of one.
    package init?(_ words: some Collection<some Collection<UInt8>>) {
        let ids = words.compactMap { EventID($0) }
        guard words.count == 3, ids.count == 3, ids[0] <= ids[1], ids[1] < ids[2] else { return nil }
        self.init(from: ids[0], after: ids[1], upTo: ids[2])
    }

    /// Whether something of it lies between the two.
    func touches(after start: EventID, upTo end: EventID) -> Bool {
        after < end && upTo > start && (ids.isEmpty || ids.contains { $0 > start && $0 <= end })
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
