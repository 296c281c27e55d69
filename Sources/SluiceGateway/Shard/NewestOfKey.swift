// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// Where in the ring the newest event of each conflation key is: what an earlier one of the same key is superseded by.
package struct NewestOfKey {
    private struct Key: Hashable {
        let target: TargetNumber
        let key: ExactText
    }

    private var positions: [Key: UInt64] = [:]

    package init() {}

    package mutating func note(_ batch: Batch) {
        for (index, entry) in batch.entries.enumerated() {
            guard let key = entry.key else { continue }
            positions[Key(target: entry.target, key: ExactText(key))] = batch.position + UInt64(index)
        }
    }

    /// The batch has left the ring.
    package mutating func forget(_ batch: Batch) {
        for entry in batch.entries {
            guard let key = entry.key.map({ Key(target: entry.target, key: ExactText($0)) }) else { continue }
            if let position = positions[key], position < batch.end { positions[key] = nil }
        }
    }

    package func isSuperseded(_ entry: Batch.Entry, at position: UInt64) -> Bool {
        guard let key = entry.key else { return false }
        return positions[Key(target: entry.target, key: ExactText(key))].map { $0 > position } ?? false
    }
}
