// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A server of a cluster as another one sees it: a line of `CLUSTER NODES`.
package struct RedisClusterNode: Sendable {
    package let id: String
    package let port: Int
    package let busPort: Int
    package let flags: [String]
    /// Whose replica it is; nil: a master.
    package let masterID: String?
    package let slots: [ClosedRange<Int>]

    package var isMyself: Bool { flags.contains("myself") }
    package var isMaster: Bool { flags.contains("master") }
    /// Taken for dead by all (`fail`), or by this one so far (`fail?`).
    package var isDown: Bool { flags.contains("fail") || flags.contains("fail?") }
    /// Not yet known by name.
    package var isStrange: Bool { flags.contains("handshake") || flags.contains("noaddr") }

    package func owns(_ slot: Int) -> Bool { slots.contains { $0.contains(slot) } }

    init?(line: Substring) {
        // <id> <ip:port@bus> <flags> <master or -> <ping> <pong> <epoch> <link> <slot or range>... <[slot->-id]>...
        let words = line.split(separator: " ")
        guard words.count >= 8, let address = words[1].split(separator: ",").first else { return nil }
        let ports = address.split(separator: ":").last?.split(separator: "@").compactMap { Int($0) } ?? []
        guard ports.count == 2 else { return nil }
        id = String(words[0])
        (port, busPort) = (ports[0], ports[1])
        flags = words[2].split(separator: ",").map(String.init)
        masterID = words[3] == "-" ? nil : String(words[3])
        slots = words[8...].compactMap { word in
            let ends = word.split(separator: "-").compactMap { Int($0) }
            guard let low = ends.first, let high = ends.last, low <= high, !word.hasPrefix("[") else { return nil }
            return low...high
        }
    }
}

extension RedisServer {
    /// Asks over a connection of its own, which costs less than a `redis-cli`. An error of Redis is thrown.
    @discardableResult
    package func ask(_ words: [String]) async throws -> String {
        let reply = try await RedisClient(self).pipeline([words.map { Array($0.utf8) }])[0]
        if reply.hasPrefix("-") { throw RedisCluster.Failure(description: "\(words.joined(separator: " ")): \(reply)") }
        return reply
    }

    @discardableResult
    package func ask(_ words: String...) async throws -> String {
        try await ask(words)
    }

    /// The cluster as this server sees it.
    package func clusterNodes() async throws -> [RedisClusterNode] {
        try await ask("CLUSTER", "NODES").split(separator: "\n").compactMap { RedisClusterNode(line: $0) }
    }
}
