// SPDX-License-Identifier: Apache-2.0

/// A cut as text, behind the id of the event at which it was made: what only nodes read of a cursor.
///
/// In the alphabet of base64url: the number of the event's partition; then for each other one, in their order, how far its
/// id lies before the event's in time, and its sequence unless that is 0. A number is written in groups of five bits, the
/// lowest first, each but the last with a sixth bit set. So a partition that has just been heard takes three characters, or five
/// with a sequence that says which run it is of, and one that has been silent for a day six or eight.
///
/// Where that is shorter, because the event is old and comes from its log, the number has 16 added, and behind it stands how much
/// later the newest of the others is: they are measured from there.
enum CutText {
    /// More would make the whole longer than the 128 bytes that are promised.
    static let charactersMax = 100
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    private static let values = Dictionary(uniqueKeysWithValues: alphabet.enumerated().map { ($1, UInt64($0)) })
    private static let more: UInt64 = 32
    /// Up to this distance, in milliseconds, an id takes three characters.
    private static let near: UInt64 = 8191
    /// Of a partition of which nothing is known: two groups for what would fit one.
    private static let unknown = [alphabet[Int(more)], alphabet[0]]

    /// - Parameter partition: whose event it is.
    static func encode(_ cut: Cut, at partition: Partition) -> String {
        let others = (0..<cut.count).filter { $0 != partition.index }.map { cut[Partition($0)] }
        let own = cut[partition].milliseconds
        let newest = others.map(\.milliseconds).max() ?? own
        var text = [alphabet[partition.index]]
        var pieces = others.map { piece($0, before: own) }
        if newest > own, newest - own > near {
            var other = [alphabet[partition.index + Partitioning.clusterCount]]
            append(newest - own, to: &other)
            let later = others.map { piece($0, before: newest) }
            if other.count + length(of: later) < text.count + length(of: pieces) { (text, pieces) = (other, later) }
        }
        var left = charactersMax - text.count - length(of: pieces)
        for piece in pieces {
            // Ids that are longer than any clock makes them: a stream that comes back is told of a gap there.
            if left < 0, piece.count > unknown.count {
                left += piece.count - unknown.count
                text += unknown
            } else {
                text += piece
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    private static func length(of pieces: [[UInt8]]) -> Int { pieces.reduce(0) { $0 + $1.count } }

    private static func piece(_ id: EventID, before time: UInt64) -> [UInt8] {
        guard id > .zero else { return unknown }
        let isLater = id.milliseconds > time
        let distance = isLater ? id.milliseconds - time : time - id.milliseconds
        var piece: [UInt8] = []
        append(distance << 2 | (isLater ? 2 : 0) | (id.sequence > 0 ? 1 : 0), to: &piece)
        if id.sequence > 0 { append(id.sequence, to: &piece) }
        return piece
    }

    private static func append(_ number: UInt64, to text: inout [UInt8]) {
        var rest = number
        while rest >= more {
            text.append(alphabet[Int(rest % more + more)])
            rest /= more
        }
        text.append(alphabet[Int(rest)])
    }

    /// nil if the text is none of ours: it is hostile input.
    static func decode(_ text: some Sequence<UInt8>, of id: EventID) -> (cut: Cut, partition: Partition)? {
        var groups = text.map { values[$0] ?? .max }[...]
        guard groups.count <= charactersMax, let first = groups.popFirst().map(Int.init(truncatingIfNeeded:)),
            (0..<2 * Partitioning.clusterCount).contains(first)
        else { return nil }
        let partition = Partition(first % Partitioning.clusterCount)
        var time = id.milliseconds
        if first >= Partitioning.clusterCount {
            guard let distance = decodeNumber(&groups) else { return nil }
            time += distance
        }
        var cut = Cut(id, count: Partitioning.clusterCount)
        for other in Partitioning.cluster.partitions where other != partition {
            guard let found = decodeID(&groups, before: time) else { return nil }
            cut[other] = found
        }
        return groups.isEmpty ? (cut, partition) : nil
    }

    private static func decodeID(_ groups: inout ArraySlice<UInt64>, before time: UInt64) -> EventID? {
        if groups.starts(with: [more, 0]) {
            groups = groups.dropFirst(2)
            return .zero
        }
        guard let number = decodeNumber(&groups) else { return nil }
        let distance = number >> 2
        let isLater = number & 2 != 0
        guard isLater || distance <= time else { return nil }
        let milliseconds = isLater ? time + distance : time - distance
        guard milliseconds < EventID.timeLimit else { return nil }
        guard number & 1 != 0 else { return EventID(milliseconds, 0) }
        return decodeNumber(&groups).flatMap { $0 < EventID.timeLimit ? EventID(milliseconds, $0) : nil }
    }

    private static func decodeNumber(_ groups: inout ArraySlice<UInt64>) -> UInt64? {
        var number: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 60, by: 5) {
            guard let group = groups.popFirst(), group < 2 * more else { return nil }
            number |= (group % more) << shift
            if group < more { return number }
        }
        return nil
    }
}
