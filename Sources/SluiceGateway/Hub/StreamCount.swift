// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// How many streams a shard, or the whole node, has of some targets, and which are the slowest of all.
package struct StreamCount: Sendable {
    package struct Question: Sendable {
        let targets: [Target]
        let wantsSlowest: Bool
        /// To be called once.
        let answer: @Sendable (StreamCount) -> Void
    }

    package var targets: [Int]
    package var slowest: [SlowStream] = []

    mutating func add(_ other: StreamCount) {
        for (index, count) in other.targets.enumerated() { targets[index] += count }
        slowest = SlowStream.merged(slowest, other.slowest)
    }
}
