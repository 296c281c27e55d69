// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// How many streams a shard has of each client, and which clients have come or gone since the hub was told.
package struct ShardPresence {
    package struct Change: Sendable {
        let client: Target
        let isPresent: Bool
    }

    private var streams: [Target: Int] = [:]
    private var changes: [Change] = []

    package init() {}

    /// A stream of a client is there, or gone.
    ///
    /// - Returns: whether the hub has to be told, and nobody has been asked to yet.
    package mutating func note(_ client: Target, isPresent: Bool) -> Bool {
        let before = streams[client] ?? 0
        let now = max(0, before + (isPresent ? 1 : -1))
        streams[client] = now == 0 ? nil : now
        guard (before == 0) != (now == 0) else { return false }
        changes.append(Change(client: client, isPresent: isPresent))
        return changes.count == 1
    }

    package mutating func take() -> [Change] {
        defer { changes = [] }
        return changes
    }
}
