// SPDX-License-Identifier: Apache-2.0

/// Watches one stream's sequence numbers, which begin with 0: each has to come once, and in order. Two words.
struct SequenceChecker {
    enum Verdict: Equatable {
        /// As it should be, after a hole or not: a hole shows in the number of those that came.
        case inOrder
        /// It came after a later one.
        case outOfOrder
        case duplicate
    }

    /// The lowest number that has not been reached.
    private(set) var next: UInt32 = 0
    /// Different numbers that came.
    private(set) var received: UInt32 = 0
    /// Which of the 64 numbers before `next` came; bit 0 is `next - 1`.
    private var recent: UInt64 = 0

    mutating func check(_ sequence: UInt32) -> Verdict {
        if sequence >= next {
            let step = UInt64(sequence - next) + 1
            recent = step < 64 ? recent << step | 1 : 1
            next = sequence &+ 1
            received &+= 1
            return .inOrder
        }
        let age = next - 1 - sequence
        // What lies further back can't be told from a duplicate; it is not counted as received, so it shows as lost too.
        guard age < 64 else { return .outOfOrder }
        let bit: UInt64 = 1 << UInt64(age)
        if recent & bit != 0 { return .duplicate }
        recent |= bit
        received &+= 1
        return .outOfOrder
    }
}
