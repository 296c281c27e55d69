// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// Which master has which partition, as one server of a cluster sees it.
package struct ClusterMap: Equatable, Sendable {
    package struct Master: Hashable, Sendable, CustomStringConvertible {
        /// The cluster's own name for it, which stays when its address changes.
        package let id: String
        package let address: RedisAddress

        package init(id: String, address: RedisAddress) {
            self.id = id
            self.address = address
        }

        package var description: String { "\(address)" }
    }

    package struct Malformed: Error, CustomStringConvertible {
        package let description = "Redis gave an answer about its cluster that is not known"
    }

    /// Of each partition; nil where nobody has its slot.
    package let owners: [Master?]
    /// Every server that has slots or a copy of them, each once.
    package let servers: [RedisAddress]
    /// A failover raises it, so that of two answers the one with the lower epoch is from a server that has missed something.
    package let epoch: UInt64

    package init(owners: [Master?], servers: [RedisAddress], epoch: UInt64) {
        self.owners = owners
        self.servers = servers
        self.epoch = epoch
    }

    /// What a server is asked.
    package static let commands: [RESPCommand] = [["CLUSTER", "INFO"], ["CLUSTER", "SLOTS"]]

    /// - Parameters:
    ///   - replies: to the ``commands``.
    ///   - asked: where they come from, for a server that does not know its own address.
    package init(replies: [RESPValue], asked: RedisAddress) throws(Malformed) {
        guard replies.count == 2, let epoch = ClusterMap.epoch(info: replies[0]), let ranges = replies[1].array else {
            throw Malformed()
        }
        self.epoch = epoch
        var owners = [Master?](repeating: nil, count: Partitioning.clusterCount)
        var servers: [RedisAddress] = []
        for range in ranges {
            // [first slot, last slot, master, replica…]
            guard let parts = range.array, parts.count >= 3, case .integer(let low) = parts[0],
                case .integer(let high) = parts[1], low <= high,
                let master = ClusterMap.server(parts[2], asked: asked)
            else { throw Malformed() }
            for part in parts[2...] {
                guard let server = ClusterMap.server(part, asked: asked) else { continue }
                if !servers.contains(server.address) { servers.append(server.address) }
            }
            for partition in Partitioning.cluster.partitions
            where (low...high).contains(Int64(RedisNames.slot(partition))) {
                owners[partition.index] = master
            }
        }
        self.owners = owners
        self.servers = servers
    }

    private static func epoch(info: RESPValue) -> UInt64? {
        let name = "cluster_current_epoch:"
        let line = info.string?.split(whereSeparator: \.isNewline).first { $0.hasPrefix(name) }
        return line.flatMap { UInt64($0.dropFirst(name.count)) }
    }

    /// `[host, port, id, …]`. The host is null for the server that was asked, and empty or `?` where it is not known.
    private static func server(_ value: RESPValue, asked: RedisAddress) -> Master? {
        guard let parts = value.array, parts.count >= 3, case .integer(let port) = parts[1],
            (1...65535).contains(port), let id = parts[2].string
        else { return nil }
        let host = parts[0].string ?? ""
        return Master(
            id: id, address: RedisAddress(host: ["", "?"].contains(host) ? asked.host : host, port: Int(port)))
    }
}
