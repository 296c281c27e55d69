// SPDX-License-Identifier: Apache-2.0
import SluiceCore

extension SluiceFunction {
    /// - Parameter kept: entries that the stream keeps.
    package static func presence(
        _ call: PresenceCall, node: String, kept: Int, names: RedisNames
    ) -> RESPCommand {
        let keys = ["2", names.online, names.presence, "\(kept)"]
        switch call {
        case .tell(let state, let newState, let changes):
            var words = ["FCALL", "sluice_presence"] + keys + [node, state ?? "*", newState]
            for change in changes {
                let (sign, period) = signAndPeriod(of: change.kind)
                words += [sign, String(change.client.name), (change.isCareful ? "?" : "") + period]
            }
            return RESPCommand(words)
        case .clean(let dead, let cursor):
            return RESPCommand(["FCALL", "sluice_presence_clean"] + keys + [dead, cursor])
        case .sweep(let cursor): return ["FCALL", "sluice_presence_of", "1", names.online, node, cursor]
        }
    }

    private static func signAndPeriod(of change: PresenceCall.Change.Kind) -> (sign: String, period: String) {
        switch change {
        case .came(let period): ("+", period)
        case .stays(let period): ("=", period)
        case .left(let period): ("-", "*" + (period ?? ""))
        case .ended(let period, nil): ("-", period)
        case .ended(let period, let dead?): ("-", "\(period) \(dead)")
        }
    }
}

extension PresenceReply {
    /// nil if it is none to this call.
    package init?(_ reply: RESPValue, to call: PresenceCall) {
        switch call {
        case .clean:
            guard let words = reply.array?.map(\.string), let cursor = words.first ?? nil else { return nil }
            let ended = stride(from: 1, to: words.count - 1, by: 2).compactMap { index -> Period? in
                guard let client = words[index].flatMap({ try? Target.client($0) }), let name = words[index + 1]
                else { return nil }
                return Period(of: client, name)
            }
            self = .cleaned(cursor: cursor, ended: ended)
        case .sweep:
            guard let parts = reply.array, parts.count == 2, let cursor = parts[0].string,
                let clients = parts[1].array
            else { return nil }
            // What somebody else has put there is nobody's.
            self = .swept(cursor: cursor, clients: clients.compactMap { $0.string.flatMap { try? Target.client($0) } })
        case .tell:
            guard let parts = reply.array, let word = parts.first?.string else { return nil }
            if word == "lost" {
                self = .lost
                return
            }
            guard parts.count == 3, let dead = parts[1].array?.compactMap(\.string) else { return nil }
            if word == "joined", let state = parts[2].string {
                self = .joined(dead: dead, state: state)
            } else if word == "told", let periods = parts[2].array?.compactMap(\.string) {
                self = .told(dead: dead, periods: periods)
            } else {
                return nil
            }
        }
    }
}
