// SPDX-License-Identifier: Apache-2.0

/// Why Redis refuses a command, by the first word of what it says: a label of a metric, so a list that is known.
package enum RedisRefusal: String, CaseIterable, Sendable {
    /// `maxmemory` is used up.
    case oom = "OOM"
    /// What it should save can't be saved.
    case misconf = "MISCONF"
    case noperm = "NOPERM"
    /// A script runs for too long.
    case busy = "BUSY"
    case loading = "LOADING"
    case readonly = "READONLY"
    case masterdown = "MASTERDOWN"
    case noreplicas = "NOREPLICAS"
    case wrongtype = "WRONGTYPE"
    /// A cluster has no master for a slot.
    case clusterdown = "CLUSTERDOWN"
    /// A cluster's slot is elsewhere, or on its way.
    case moved = "MOVED"
    case ask = "ASK"
    case tryagain = "TRYAGAIN"
    /// Our own function.
    case function = "SLUICE"
    case other = "ERR"

    package init(_ reply: String) {
        let word = reply.prefix { $0 != " " }
        // Inside of a function Redis has no word for it, and ours looks before it writes.
        let isRight =
            reply.hasPrefix("ERR The user executing the script") || reply.hasPrefix("SLUICE NOPERM")
        self = isRight ? .noperm : RedisRefusal(rawValue: String(word)) ?? .other
    }
}
