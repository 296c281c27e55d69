// SPDX-License-Identifier: Apache-2.0

/// What a server says of itself when it is greeted with `HELLO`, which no user needs a right for.
package struct RedisGreeting: Equatable, Sendable {
    package let isReplica: Bool
    /// Of a Redis Cluster.
    package let isOfCluster: Bool

    /// nil for what is no answer to `HELLO`.
    package init?(_ reply: RESPValue) {
        guard let words = reply.array, words.count.isMultiple(of: 2) else { return nil }
        var fields: [String: String] = [:]
        for index in stride(from: 0, to: words.count, by: 2) {
            guard let name = words[index].string else { return nil }
            fields[name] = words[index + 1].string
        }
        guard let mode = fields["mode"] else { return nil }
        isReplica = fields["role"] == "replica" || fields["role"] == "slave"
        isOfCluster = mode == "cluster"
    }

    /// Why a master, of a cluster or on its own, was looked for in vain here; nil: this is one.
    func problem(isOfCluster isWanted: Bool) -> String? {
        if isOfCluster != isWanted {
            return isWanted
                ? "is no server of a cluster: its URL begins with redis://"
                : "is a server of a cluster, whose URL begins with redis+cluster://"
        }
        return isReplica ? "is a replica" : nil
    }
}
