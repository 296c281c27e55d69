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
            let wasOutage = now > newest - .milliseconds(9600 - 4500)
            var dead: [String] = []
            for other in records.keys.sorted() where other != node {
                guard var record = records[other] else { continue }
                if record.lives, wasOutage { record.until = max(record.until, now + .milliseconds(4900)) }
                if record.lives, record.until < now { record = Record(until: now - .nanoseconds(1), state: "gone") }
                if record.state == "gone", record.until < now {
                    record.until = now + .seconds(5)
                    dead.append(other)
                }
                records[other] = record
            }
            records[node] = Record(until: now + .milliseconds(9600), state: newState)
            let periods = changes.map { change(of: node, $0, now: now) }
            return state == nil ? .joined(dead: dead, state: old) : .told(dead: dead, periods: periods)
        case .sweep(let cursor):
            let page = page(of: node, after: cursor)
            return .swept(cursor: page.cursor, clients: page.clients)
        case .clean(let dead, let cursor):
            guard records[dead]?.state == "gone" else { return .cleaned(cursor: "0", ended: []) }
            let page = page(of: dead, after: cursor)
            let ended = page.clients.map { PresenceReply.Period(of: $0, leave($0, dead)) }.filter { !$0.name.isEmpty }
            records[dead] = Record(until: now + .seconds(5), state: page.cursor == "0" ? "done" : "gone")
            return .cleaned(cursor: page.cursor, ended: ended)
        }
    }

    /// Two of the clients that are listed at a node.
    private func page(of node: String, after cursor: String) -> (cursor: String, clients: [Target]) {
        let left = online.filter { $0.value.nodes.contains(node) && (cursor == "0" || "\($0.key)" > cursor) }
            .keys.sorted { "\($0)" < "\($1)" }
        let clients = Array(left.prefix(2))
        return (left.count > 2 ? "\(clients[1])" : "0", clients)
    }

    private mutating func change(of node: String, _ change: PresenceCall.Change, now: NIODeadline) -> String {
        let nodes = online[change.client]?.nodes ?? []
        switch change.kind {
        case .came(let period):
            precondition(!change.isCareful)
            return come(change.client, node, period)
        case .stays(let period):
            precondition(!change.isCareful)
            if let known = online[change.client]?.period, known.beginning < period.beginning {
                entries.append(Entry(client: change.client, isPresent: false, event: known + "-"))
                entries.append(Entry(client: change.client, isPresent: true, event: period + "'+"))
                online[change.client]?.period = period + "'"
            }
            return come(change.client, node, period)
        case .left(let period):
            if nodes.isEmpty, let period {
                return change.isCareful ? PresenceReply.notDone : end(change.client, [node], period)
            }
            if change.isCareful, nodes == [node] { return PresenceReply.notDone }
            return leave(change.client, node)
        case .ended(let period, let dead):
            let isBack = dead.flatMap { records[$0] }.map { $0.until > now + .milliseconds(5600) } ?? false
            let dying = change.isCareful ? [] : records.filter { !$0.value.lives }.map(\.key)
            let gone = (isBack ? [node] : [node, dead]) + dying
            let isShared = online[change.client]?.period == period && nodes.contains { !gone.contains($0) }
            return change.isCareful && isShared ? PresenceReply.notDone : end(change.client, gone, period)
        }
    }

    private mutating func come(_ client: Target, _ node: String, _ period: String) -> String {
        guard let known = online[client] else {
            entries.append(Entry(client: client, isPresent: true, event: period + "+"))
            online[client] = (period, [node])
            return period
        }
        if !known.nodes.contains(node) { online[client]?.nodes.append(node) }
        return known.period
    }

    /// - Returns: the period that has ended with it; empty: none.
    private mutating func leave(_ client: Target, _ node: String) -> String {
        guard let known = online[client], known.nodes.contains(node) else { return "" }
        online[client]?.nodes.removeAll { $0 == node }
        guard known.nodes == [node] else { return "" }
        entries.append(Entry(client: client, isPresent: false, event: known.period + "-"))
        online[client] = nil
        return known.period
    }

    private mutating func end(_ client: Target, _ gone: [String?], _ period: String) -> String {
        if let known = online[client], known.period != period { return "" }
        entries.append(Entry(client: client, isPresent: false, event: period + "-"))
        let others = online[client]?.nodes.filter { !gone.contains($0) } ?? []
        online[client] = nil
        if !others.isEmpty {
            // Others have begun in it again, because its end was forgotten.
            entries.append(Entry(client: client, isPresent: true, event: period + "'+"))
            online[client] = (period + "'", others)
        }
        return period
    }
}

extension String {
    /// When a period began.
    fileprivate var beginning: UInt64 { split(separator: "-").dropLast().last.flatMap { UInt64($0) } ?? 0 }
}
