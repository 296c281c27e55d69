// SPDX-License-Identifier: Apache-2.0

/// A slot that moves from one master to another, step by step.
///
/// Between ``begin()`` and ``finish()`` the source answers `ASK` for keys that it no longer has (or never had), and `TRYAGAIN` for
/// commands of which it has some keys and not all; so does the target after `ASKING`.
package struct SlotMove: Sendable {
    package let slot: Int
    package let source: RedisServer
    package let target: RedisServer

    package init(slot: Int, from source: RedisServer, to target: RedisServer) {
        self.slot = slot
        self.source = source
        self.target = target
    }

    package func begin() async throws {
        let (sourceID, targetID) = (try await id(source), try await id(target))
        try await target.ask("CLUSTER", "SETSLOT", "\(slot)", "IMPORTING", sourceID)
        try await source.ask("CLUSTER", "SETSLOT", "\(slot)", "MIGRATING", targetID)
    }

    /// Moves these keys, or all that are still at the source.
    package func moveKeys(_ keys: [String]? = nil) async throws {
        if let keys { return try await migrate(keys) }
        while true {
            // Names of ours have no line feeds, but may have spaces (those of idempotency tokens).
            let names = try await source.cli("CLUSTER", "GETKEYSINSLOT", "\(slot)", "100").split(separator: "\n")
            if names.isEmpty { return }
            try await migrate(names.map(String.init))
        }
    }

    package func finish() async throws {
        let targetID = try await id(target)
        // The target first: who is sent there by the source must not be sent back.
        for server in [target, source] { try await server.ask("CLUSTER", "SETSLOT", "\(slot)", "NODE", targetID) }
    }

    private func migrate(_ keys: [String]) async throws {
        try await source.ask(["MIGRATE", "127.0.0.1", "\(target.port)", "", "0", "5000", "KEYS"] + keys)
    }

    private func id(_ server: RedisServer) async throws -> String {
        try await server.ask("CLUSTER", "MYID")
    }
}
