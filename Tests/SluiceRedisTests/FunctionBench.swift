// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import SluiceRedis
import TestSupport
import Testing

/// A Redis with the function installed, and what tests ask of it.
struct FunctionBench {
    struct Receipt: Equatable {
        let id: EventID?
        let nodes: Int64
    }

    struct Entry: Equatable {
        let id: EventID
        let fields: [String: String]
    }

    let server: RedisServer
    let client: Client

    init() async throws {
        server = try await RedisServer()
        client = try await Client(try server.endpoint())
        try await client.install()
    }

    @discardableResult
    func publish(_ key: String, _ data: String = "x", _ options: String...) async throws -> Receipt {
        let reply = try await client.send(RESPCommand(["FCALL", "sluice_publish", "1", key, data] + options))
        let parts = try #require(reply.array)
        let id = try #require(parts.first?.string)
        guard parts.count == 2, case .integer(let nodes) = parts[1] else { throw RedisError.refused("\(reply)") }
        return Receipt(id: id.isEmpty ? nil : try eventID(id), nodes: nodes)
    }

    private func eventID(_ text: String) throws -> EventID {
        let id: EventID? = EventID(text)
        return try #require(id)
    }

    func text(_ words: String...) async throws -> String? {
        try await client.send(RESPCommand(words)).string
    }

    func integer(_ words: String...) async throws -> Int64? {
        if case .integer(let value) = try await client.send(RESPCommand(words)) { value } else { nil }
    }

    func entries(_ key: String) async throws -> [Entry] {
        let reply = try await client.send("XRANGE", key, "-", "+")
        return try #require(reply.array).map { entry in
            let parts = try #require(entry.array)
            let words = try #require(parts.last?.array).compactMap(\.string)
            let pairs = stride(from: 0, to: words.count, by: 2).map { (words[$0], words[$0 + 1]) }
            return Entry(
                id: try #require(parts.first?.string.flatMap { EventID($0) }),
                fields: Dictionary(uniqueKeysWithValues: pairs))
        }
    }

    /// Everything in Redis: each key, its serialized value and its life.
    func snapshot() async throws -> [String: [RESPValue]] {
        var snapshot: [String: [RESPValue]] = [:]
        for key in try #require(try await client.send("KEYS", "*").array).compactMap(\.string) {
            snapshot[key] = [try await client.send("DUMP", key), try await client.send("PEXPIRETIME", key)]
        }
        return snapshot
    }

    /// Why Redis refuses; nil if it does not.
    func refusal(_ client: Client? = nil, _ words: [String]) async -> String? {
        do {
            _ = try await (client ?? self.client).send(RESPCommand(words))
            return nil
        } catch {
            guard case RedisError.refused(let message) = error else { return nil }
            return message
        }
    }
}
