// SPDX-License-Identifier: Apache-2.0

/// Counts how many of something each key holds, up to a limit. Keys that hold nothing take no memory.
package struct Quota<Key: Hashable & Sendable>: Sendable {
    private let limit: Int
    private var held: [Key: Int] = [:]

    package init(limit: Int) {
        self.limit = limit
    }

    /// - Returns: false if the key has all it may hold.
    package mutating func take(_ key: Key) -> Bool {
        let count = held[key, default: 0]
        guard count < limit else { return false }
        held[key] = count + 1
        return true
    }

    /// Gives one back that was taken.
    package mutating func give(_ key: Key) {
        guard let count = held[key] else { return }
        held[key] = count > 1 ? count - 1 : nil
    }

    /// Keys that hold something.
    package var keyCount: Int { held.count }
}
