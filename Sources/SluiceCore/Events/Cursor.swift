// SPDX-License-Identifier: Apache-2.0

/// A stream's position in the order of events: what SSE calls the last event id.
///
/// With one partition it is an event's id. With several it is a cut through all of them, of which the text says first the id
/// of the event at which it was made: `<ms>-<seq>~<cut>`.
package struct Cursor: Hashable, Sendable, CustomStringConvertible {
    private static let separator = UInt8(ascii: "~")

    package let cut: Cut
    /// Whose event it is.
    package let partition: Partition

    package init(_ id: EventID) {
        self.init(Cut(id), at: .first)
    }

    package init(_ cut: Cut, at partition: Partition) {
        self.cut = cut
        self.partition = partition
    }

    /// Parses what a client sent back; nil if it is not a cursor of ours (it is hostile input).
    package init?(_ text: some StringProtocol) {
        let parts = text.utf8.split(separator: Cursor.separator, maxSplits: 1, omittingEmptySubsequences: false)
        guard let id = parts.first.flatMap({ EventID($0) }) else { return nil }
        guard parts.count > 1 else {
            self.init(id)
            return
        }
        guard let (cut, partition) = CutText.decode(parts[1], of: id) else { return nil }
        self.init(cut, at: partition)
        // There is one text for each cursor.
        guard description.utf8.elementsEqual(text.utf8) else { return nil }
    }

    /// The id of the event at which it was made.
    package var id: EventID { cut[partition] }

    /// The same place for a broker with so many partitions: between one server and a cluster there is only the time by which
    /// to go on.
    package func over(_ count: Int) -> Cursor {
        cut.count == count ? self : Cursor(Cut(id.time, count: count), at: .first)
    }

    package var description: String {
        cut.count == 1 ? id.description : "\(id)~\(CutText.encode(cut, at: partition))"
    }
}
