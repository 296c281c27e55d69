// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// How many streams a shard, or the whole node, has of some targets.
package struct StreamCount: Sendable {
    package struct Question: Sendable {
        let targets: [Target]
        /// To be called once.
        let answer: @Sendable (StreamCount) -> Void
    }

    package var targets: [Int]

    mutating func add(_ other: StreamCount) {
        for (index, count) in other.targets.enumerated() { targets[index] += count }
    }
}
