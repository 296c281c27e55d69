// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// What the function keeps in Redis of who is there, in the simplest form: the reference of the machine's model test.
struct ModelPresence {
    struct Entry: Equatable {
        let client: Target
        let isPresent: Bool
        let event: String
    }

    private struct Record {
        var until: NIODeadline
        var state: String

        var lives: Bool { state != "gone" && state != "done" }
    }

    private var online: [Target: (period: String, nodes: [String])] = [:]
    private var records: [String: Record] = [:]
    private(set) var entries: [Entry] = []

    var present: Set<Target> { Set(online.keys) }

    mutating func carryOut(_ call: PresenceCall, of node: String, now: NIODeadline) -> PresenceReply {
        switch call {
        case .tell(let state, let newState, let changes):
            let old = records[node]?.state ?? ""
            if let state, state != old { return .lost }
            let newest = records.values.filter(\.lives).map(\.until).max() ?? .distantFuture
            let wasOutage = now > newest - .seconds(12) + .seconds(6)
            var dead: [String] = []
            for other in records.keys.sorted() where other != node {
                guard var record = records[other] else { continue }
                if record.lives, wasOutage { record.until = max(record.until, now + .seconds(12)) }
                if record.lives, record.until < now { record = Record(until: now - .nanoseconds(1), state: "gone") }
                if record.state == "gone", record.until < now {
                    record.until = now + .seconds(5)
                    dead.append(other)
                }
                records[other] = record
            }
            records[node] = Record(until: now + .seconds(12), state: newState)
            let periods = changes.map { change(of: node, $0) }
            return state == nil ? .joined(dead: dead, state: old) : .told(dead: dead, periods: periods)
        case .sweep:
            let clients = online.filter { $0.value.nodes.contains(node) }.keys.sorted { "\($0)" < "\($1)" }
            return .swept(cursor: "0", clients: clients)
        case .clean(let dead, _):
            guard records[dead]?.state == "gone" else { return .cleaned(cursor: "0") }
            for client in online.filter({ $0.value.nodes.contains(dead) }).keys.sorted(by: { "\($0)" < "\($1)" }) {
                leave(client, dead, period: nil)
            }
            records[dead]?.state = "done"
            return .cleaned(cursor: "0")
        }
    }

    private mutating func change(of node: String, _ change: PresenceCall.Change) -> String {
        guard change.isPresent else { return leave(change.client, node, period: change.period) }
        if var entry = online[change.client] {
            if !entry.nodes.contains(node) { entry.nodes.append(node) }
            online[change.client] = entry
            return entry.period
        }
        let period = change.period ?? "?"
        entries.append(Entry(client: change.client, isPresent: true, event: period + "+"))
        online[change.client] = (period, [node])
        return period
    }

    /// - Returns: the period that has ended with it; empty: none.
    @discardableResult
    private mutating func leave(_ client: Target, _ node: String, period: String?) -> String {
        guard var entry = online[client] else {
            if let period { entries.append(Entry(client: client, isPresent: false, event: period + "-")) }
            return period ?? ""
        }
        guard period.map({ $0 == entry.period }) ?? entry.nodes.contains(node) else { return "" }
        entry.nodes.removeAll { $0 == node }
        online[client] = entry
        if let period, !entry.nodes.isEmpty {
            // It has ended, and been forgotten, and others have begun in it again.
            entries.append(Entry(client: client, isPresent: false, event: period + "-"))
            entries.append(Entry(client: client, isPresent: true, event: period + "'+"))
            online[client] = (period + "'", entry.nodes)
            return period
        }
        guard entry.nodes.isEmpty else { return "" }
        entries.append(Entry(client: client, isPresent: false, event: entry.period + "-"))
        online[client] = nil
        return entry.period
    }
}
