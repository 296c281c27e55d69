// SPDX-License-Identifier: Apache-2.0

/// Why a command has no reply.
package enum RedisError: Error, Equatable, CustomStringConvertible {
    /// There is no connection; the command was not sent.
    case unavailable
    /// The connection was lost, or Redis took too long: whether the command was carried out is not known.
    case lost(String)
    /// More is in flight than we allow; the command was not sent.
    case overloaded
    /// Redis refused, in its own words.
    case refused(String)
    /// The server that was found is none that may be used; the command was not sent.
    case unfit(String)

    package var description: String {
        switch self {
        case .unavailable: "Redis is not reachable"
        case .lost(let reason): "the connection to Redis was lost: \(reason)"
        case .overloaded: "too many commands wait for Redis"
        case .refused(let message): message
        case .unfit(let reason): reason
        }
    }

    /// Nothing that a node has to do can be done over this connection any more: its Redis has become a replica, or has
    /// not read its data yet. Another may be the right one by now.
    package var endsUse: Bool {
        guard case .refused(let message) = self else { return false }
        return ["READONLY", "MASTERDOWN", "LOADING"].contains(where: message.hasPrefix)
    }

    /// The function has to be installed again.
    package var lacksFunction: Bool {
        guard case .refused(let message) = self else { return false }
        return message.hasPrefix("ERR Function not found")
    }
}
