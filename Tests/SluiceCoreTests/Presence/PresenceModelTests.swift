// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import TestSupport
import Testing

/// Three nodes, a Redis that fails and goes back to what it was, and a backend that reads along.
@Suite("Presence, against a model")
struct PresenceModelTests {
    private struct Node {
        let name: String
        var machine: PresenceMachine
        var streams: [Target: Int] = [:]
        var isStopped = false
        /// A reply that has not come yet.
        var reply: PresenceReply?
        var isWaiting = false
    }

    /// What a backend knows that drops every event it has had.
    private struct Backend {
        var read = 0
        var seen: Set<String> = []
        var isPresent: [Target: Bool] = [:]
        /// Of each client: changes that are none.
        var repeated = 0

        mutating func take(_ entries: [ModelPresence.Entry]) {
            for entry in entries.dropFirst(read) where seen.insert(entry.event).inserted {
                if isPresent[entry.client] ?? false == entry.isPresent { repeated += 1 }
                isPresent[entry.client] = entry.isPresent
            }
            read = entries.count
        }
    }

    private struct World {
        var generator: SeededGenerator
        var now = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
        var started: UInt64 = 0
        var presence = ModelPresence()
        /// What the replica has: the newest last.
        var replica: [(time: NIODeadline, presence: ModelPresence)] = []
        var nodes: [Node] = []
        var backend = Backend()
        /// Every node has told again what the last failover has lost.
        var settled = NIODeadline.uptimeNanoseconds(0)
        var isDown = false
        var fails = false
        let clients: [Target]
        /// Since when a client has had no stream at any node that runs.
        var goneSince: [Target: NIODeadline] = [:]

        init(seed: UInt64) throws {
            generator = SeededGenerator(seed: seed)
            clients = try (0..<6).map { try .client("c\($0)") }
            for number in 0..<3 { nodes.append(start("n\(number)")) }
        }

        mutating func start(_ name: String) -> Node {
            started += 1
            return Node(
                name: name, machine: PresenceMachine(node: name, started: now.uptimeNanoseconds / 1_000_000, now: now))
        }

        func streams(of client: Target) -> Int {
            nodes.reduce(0) { $0 + ($1.isStopped ? 0 : $1.streams[client] ?? 0) }
        }

        mutating func open(_ index: Int, _ client: Target) {
            nodes[index].streams[client, default: 0] += 1
            if nodes[index].streams[client] == 1 { nodes[index].machine.arrived(client) }
        }

        mutating func close(_ index: Int, _ client: Target) {
            guard let count = nodes[index].streams[client], count > 0 else { return }
            nodes[index].streams[client] = count == 1 ? nil : count - 1
            if count == 1 { nodes[index].machine.left(client, now: now) }
        }

        /// One step of a node: its reply comes, or it sends what it has to say.
        mutating func step(_ index: Int) {
            guard !nodes[index].isStopped else { return }
            if nodes[index].isWaiting {
                nodes[index].isWaiting = false
                if let reply = nodes[index].reply {
                    nodes[index].machine.received(reply, now: now)
                } else {
                    nodes[index].machine.failed(now: now)
                }
                nodes[index].reply = nil
            } else if let call = nodes[index].machine.next(now: now) {
                nodes[index].isWaiting = true
                // Some are carried out, and the reply is lost.
                let isLost = fails && Int.random(in: 0..<8, using: &generator) == 0
                guard !isDown else { return }
                let reply = presence.carryOut(call, of: nodes[index].name, now: now)
                nodes[index].reply = isLost ? nil : reply
            }
        }

        mutating func run(_ time: TimeAmount) {
            let end = now + time
            while now < end {
                now = now + .milliseconds(250)
                for index in nodes.indices { for _ in 0..<8 { step(index) } }
                backend.take(presence.entries)
                replica.append((now, presence))
                replica.removeAll { $0.time + .seconds(2) < now }
            }
        }

        /// A replica that lacks the newest takes over.
        mutating func failOver() {
            // A node that was taken for dead comes back, and Redis forgets that it was: nobody knows.
            if nodes.contains(where: \.isStopped) { replica = [] }
            for index in nodes.indices { nodes[index].isStopped = false }
            let lag = TimeAmount.milliseconds(.random(in: 0...2000, using: &generator))
            let promoted = replica.last { $0.time + lag <= now }
            isDown = true
            run(.milliseconds(.random(in: 0...12_000, using: &generator)))
            if let promoted { presence = promoted.presence }
            backend.read = presence.entries.count
            isDown = false
            settled = now + .seconds(15)
        }

        mutating func act(withRollback: Bool) {
            let index = Int.random(in: 0..<3, using: &generator)
            let client = clients[Int.random(in: 0..<clients.count, using: &generator)]
            switch Int.random(in: 0..<40, using: &generator) {
            case 0..<14: if !nodes[index].isStopped { open(index, client) }
            case 14..<28: if !nodes[index].isStopped { close(index, client) }
            case 28:
                // kill -9, and another process takes its place. What it alone has told, and Redis loses just then, nobody knows.
                guard now >= settled, !isDown else { return }
                replica = []
                let name = Bool.random(using: &generator) ? nodes[index].name : "n\(started + 10)"
                nodes[index] = start(name)
            case 29: if nodes[index].isStopped || now >= settled { nodes[index].isStopped.toggle() }
            case 30..<33: run(.seconds(.random(in: 1...8, using: &generator)))
            case 33: if withRollback { failOver() }
            case 34:
                isDown.toggle()
                settled = max(settled, now + .seconds(15))
            default: run(.milliseconds(.random(in: 0...1000, using: &generator)))
            }
        }
    }

    @Test(
        "Whatever happens to nodes and replies, a backend that drops repeated events ends with who is there, and each change is one",
        arguments: 1...500)
    func withoutRollback(seed: UInt64) throws {
        var world = try World(seed: seed)
        world.fails = true
        for _ in 0..<150 { world.act(withRollback: false) }
        expectTruth(&world, seed)
        #expect(world.backend.repeated == 0, "seed \(seed)")
    }

    @Test("The same after a replica took over that lacked the newest", arguments: 1...500)
    func withRollback(seed: UInt64) throws {
        var world = try World(seed: seed)
        for _ in 0..<150 { world.act(withRollback: true) }
        expectTruth(&world, seed)
    }

    private func expectTruth(_ world: inout World, _ seed: UInt64) {
        world.isDown = false
        world.fails = false
        for index in world.nodes.indices { world.nodes[index].isStopped = false }
        world.run(.seconds(40))
        for client in world.clients {
            #expect(
                (world.backend.isPresent[client] ?? false) == (world.streams(of: client) > 0), "seed \(seed): \(client)"
            )
            #expect(
                world.presence.present.contains(client) == (world.streams(of: client) > 0), "seed \(seed): \(client)")
        }
    }
}
