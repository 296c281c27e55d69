// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// How the registry of nodes is read: the list `sluice:nodes`, and an entry for each of them.
package enum Registry {
    package static func list(_ names: RedisNames) -> RESPCommand { ["GET", names.nodes] }

    /// The nodes in the reply to ``list(_:)``: each with the time at which it falls out of the list.
    package static func nodes(reply: RESPValue) -> [String] {
        let words = (reply.string ?? "").split(separator: " ")
        return stride(from: 0, to: words.count, by: 2).map { String(words[$0]) }.filter(NodeID.isValid)
    }

    package static func entry(of node: String, _ names: RedisNames) -> RESPCommand {
        RESPCommand(["HMGET", names.node(node, .first)] + NodeEntry.fieldNames)
    }

    /// nil: it is gone.
    package static func entry(reply: RESPValue) -> NodeEntry? {
        NodeEntry(fieldValues: (reply.array ?? []).map(\.string))
    }
}
