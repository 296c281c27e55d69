// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// How many streams a shard, or the whole node, has of some targets, and how many of all are behind.
package struct StreamCount: Sendable {
    package struct Question: Sendable {
        let targets: [Target]
        /// Which has to look at each stream.
        let countsBehind: Bool
        /// To be called once.
        let answer: @Sendable (StreamCount) -> Void
    }

    package var targets: [Int]
    package var behind = 0

    mutating func add(_ other: StreamCount) {
        for (index, count) in other.targets.enumerated() { targets[index] += count }
        behind += other.behind
    }
}
