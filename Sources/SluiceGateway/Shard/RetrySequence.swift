// SPDX-License-Identifier: Apache-2.0

/// The `retry:` of one stream after the other, so that those of any number in a row lie evenly in the spread.
///
/// Times that are drawn by lot lie in heaps: of a hundred streams that end in a second, one second gets 50 of them back and
/// the next 65. Each of these is the golden ratio of the spread behind the one before it, which leaves no heap and no hole
/// in any stretch of the sequence (its discrepancy is the least that there is). So streams that end evenly come back evenly.
package struct RetrySequence {
    /// 2⁶⁴ divided by the golden ratio.
    private static let step: UInt64 = 0x9E37_79B9_7F4A_7C15

    private let policy: RetryPolicy
    private var fraction: UInt64

    /// - Parameter start: another for each shard and node, or they would all begin at the same time.
    package init(_ policy: RetryPolicy, start: UInt64 = .random(in: .min ... .max)) {
        self.policy = policy
        fraction = start
    }

    /// In milliseconds.
    package mutating func next() -> Int64 {
        fraction &+= RetrySequence.step
        return policy.time(at: fraction)
    }
}
