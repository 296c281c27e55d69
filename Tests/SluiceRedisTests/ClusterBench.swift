// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import SluiceRedis
import TestSupport
import Testing

/// A cluster with the function on each master, and what tests ask of it.
struct ClusterBench {
    static let names = RedisNames(prefix: "sluice", partitioning: .cluster)

    let cluster: RedisCluster

    init(masters: Int = 2, replicas: Int = 0) async throws {
        cluster = try await RedisCluster(masters: masters, replicas: replicas)
        for master in try await cluster.masters() { try await Client(try master.endpoint()).install() }
    }

    /// A connection to the master of a target's partition.
    func client(_ target: Target, login: String = "") async throws -> Client {
        try await Client(try await cluster.master(of: ClusterBench.names.channel(target)).endpoint(login: login))
    }

    /// The words that publish to a target with every key declared.
    static func publish(_ target: Target, _ options: String...) -> [String] {
        let partition = Partitioning.cluster.partition(of: target)
        var keys = [names.channel(target), names.marker(target), names.clock(partition)]
        if let once = options.firstIndex(of: "once") { keys.append(names.once(target, token: options[once + 1])) }
        return ["FCALL", "sluice_publish", "\(keys.count)"] + keys + ["x"] + options
    }

    static func receipt(_ reply: RESPValue) throws -> (id: EventID?, nodes: Int64) {
        let parts = try #require(reply.array)
        guard parts.count == 2, case .integer(let nodes) = parts[1] else { throw RedisError.refused("\(reply)") }
        return (parts[0].string.flatMap { EventID($0) }, nodes)
    }

    /// What a command is answered, an error as its text.
    static func answer(_ client: Client, _ words: [String]) async throws -> String {
        do {
            return "\(try await client.send(RESPCommand(words)))"
        } catch RedisError.refused(let message) {
            return message
        }
    }

    /// How many keys there are on all masters together.
    func keyCount() async throws -> Int {
        var count = 0
        for master in try await cluster.masters() { count += Int(try await master.ask("DBSIZE")) ?? 0 }
        return count
    }
}
