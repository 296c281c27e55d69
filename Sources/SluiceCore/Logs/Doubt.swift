// SPDX-License-Identifier: Apache-2.0

/// Ids that two servers have given out side by side: a master, and its successor.
///
/// A node that still listens to the former master tells its streams these ids as their place, although it has not heard what
/// the successor gave out meanwhile. Whoever comes back with one of them may lack that, and nothing shows it.
package struct Doubt: Hashable, Sendable {
    /// When the successor began.
    package let after: EventID
    /// The newest id that somebody may have been told.
    package let upTo: EventID

    /// So many are believed; the function keeps fewer.
    private static let countMax = 16

    /// nil: nothing was told beyond where the successor began.
    package init?(after: EventID, upTo: EventID) {
        guard after < upTo else { return nil }
        self.after = after
        self.upTo = upTo
    }

    /// Parses `<after> <up to> <after> <up to> …`, as the Redis function keeps them.
    package static func list(text: String) -> [Doubt] {
        let words = text.split(separator: " ").prefix(countMax * 2)
        return stride(from: 0, to: words.count - 1, by: 2).compactMap { index in
            guard let after = EventID(words[index]), let upTo = EventID(words[index + 1]) else { return nil }
            return Doubt(after: after, upTo: upTo)
        }
    }

    package func contains(_ id: EventID) -> Bool { id > after && id <= upTo }

    func covers(_ other: Doubt) -> Bool { after <= other.after && upTo >= other.upTo }

    /// Both, and what lies between them.
    func joined(with other: Doubt) -> Doubt { Doubt(from: min(after, other.after), through: max(upTo, other.upTo)) }

    private init(from after: EventID, through upTo: EventID) {
        self.after = after
        self.upTo = upTo
    }

    /// What a stream is told that came with this id.
    package func gap(before cursor: EventID, of targets: [Target]) -> Gap {
        Gap(from: after, to: cursor, targets: targets)
    }
}
