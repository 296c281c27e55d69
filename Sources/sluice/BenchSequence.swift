// SPDX-License-Identifier: Apache-2.0

/// What one stream has received of the messages 1, 2, 3…: exact about what is lost, late or there twice, at the cost
/// of a few words as long as nothing is.
struct BenchSequence {
    enum Verdict {
        case inOrder
        /// Some before it have not come.
        case skipped
        /// It was missing until now.
        case late
        case duplicate
    }

    private var last: UInt32 = 0
    private var missing: [ClosedRange<UInt32>] = []

    mutating func receive(_ number: UInt32) -> Verdict {
        if number == last &+ 1 {
            last = number
            return .inOrder
        }
        if number > last {
            missing.append(last + 1...number - 1)
            last = number
            return .skipped
        }
        guard let index = missing.firstIndex(where: { $0.contains(number) }) else { return .duplicate }
        let range = missing[index]
        var pieces: [ClosedRange<UInt32>] = []
        if range.lowerBound < number { pieces.append(range.lowerBound...number - 1) }
        if number < range.upperBound { pieces.append(number + 1...range.upperBound) }
        missing.replaceSubrange(index...index, with: pieces)
        return .late
    }

    /// How many of the messages up to `published` have not come.
    func lost(of published: UInt32) -> Int {
        missing.reduce(Int(published) - Int(last)) { $0 + $1.count }
    }
}
