// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import Testing

/// What chance is too unlikely to bring about in the model.
@Suite("The machine of who is there")
struct PresenceMachineTests {
    private static func at(_ seconds: Int64) -> NIODeadline {
        .uptimeNanoseconds(1_000_000_000_000) + .seconds(seconds)
    }

    @Test("A dead node is cleaned up after once all nodes have said again who is with them")
    func cleansLate() throws {
        var machine = PresenceMachine(node: "n1", started: 1, now: Self.at(0))
        machine.arrived(try .client("ann"))
        let join = machine.next(now: Self.at(0))
        #expect(join == .tell(state: nil, newState: "n1-1-1", []))
        // Redis has failed over, and another node is dead.
        machine.received(.joined(dead: ["n2"], state: ""), now: Self.at(0))
        var calls: [String] = []
        for second: Int64 in [0, 0, 1, 4, 6, 6, 6] {
            switch machine.next(now: Self.at(second)) {
            case .tell(_, _, let changes):
                calls.append("tell \(changes.count)")
                machine.received(
                    .told(dead: [], periods: changes.map { _ in "p" }), now: Self.at(second))
            case .sweep:
                calls.append("sweep")
                machine.received(.swept(cursor: "0", clients: []), now: Self.at(second))
            case .clean(let node, _):
                calls.append("clean \(node) at \(second)")
                machine.received(.cleaned(cursor: "0", ended: []), now: Self.at(second))
            case nil: break
            }
        }
        #expect(calls.first == "tell 1" && calls.contains("clean n2 at 6"), "\(calls)")
        #expect(!calls.contains { $0.hasPrefix("clean") && !$0.hasSuffix("6") }, "\(calls)")
    }

    @Test(
        "A client that had left two nodes is not taken for one that came again where Redis forgets both",
        arguments: 0..<4)
    func bothForgotten(order: Int) throws {
        // Ann's end was told; Bob's would have been, when Redis failed.
        let (ann, bob) = (try Target.client("ann"), try Target.client("bob"))
        var presence = ModelPresence()
        var nodes = [0, 1].map { PresenceMachine(node: "n\($0)", started: 1, now: Self.at(0)) }
        func run(_ index: Int, at second: Int64) {
            while let call = nodes[index].next(now: Self.at(second)) {
                nodes[index].received(
                    presence.carryOut(call, of: "n\(index)", now: Self.at(second)), now: Self.at(second))
            }
        }
        for index in [0, 1] {
            for client in [ann, bob] { nodes[index].arrived(client) }
            run(index, at: 0)
        }
        var stale = presence
        for index in [0, 1] {
            nodes[index].left(ann, now: Self.at(1))
            nodes[index].left(bob, now: Self.at(3))
            run(index, at: 7)
            nodes[index].failed(now: Self.at(8))
        }
        let events = ["n0-1-1+", "n0-1-2+", "n0-1-1-"]
        #expect(presence.entries.map(\.event) == events)
        swap(&presence, &stale)
        let first = order % 2
        for second: Int64 in [10, 12, 13, 16, 20, 21, 24] {
            for index in [first, 1 - first] where order < 2 || index == first || second > 12 { run(index, at: second) }
        }
        #expect(Set(presence.entries.map(\.event)) == Set(events + ["n0-1-2-"]))
        #expect(presence.present.isEmpty)
    }

    @Test("Nobody is kept who comes and goes while Redis is away")
    func away() throws {
        var machine = PresenceMachine(node: "n1", started: 1, now: Self.at(0))
        for second: Int64 in 0..<100 {
            let client = try Target.client("c\(second)")
            machine.arrived(client)
            if machine.next(now: Self.at(second)) != nil { machine.failed(now: Self.at(second)) }
            machine.left(client, now: Self.at(second))
        }
        #expect(machine.size <= 7)
        machine.mayRetry(now: Self.at(99))
        #expect(machine.next(now: Self.at(99)) == .tell(state: nil, newState: "n1-1-101", []))
    }

    @Test("Who had left a node that was paused and taken for dead is not told as one that came")
    func paused() throws {
        let ann = try Target.client("ann")
        var machine = PresenceMachine(node: "n1", started: 1, now: Self.at(0))
        machine.arrived(ann)
        _ = machine.next(now: Self.at(0))
        machine.received(.joined(dead: [], state: ""), now: Self.at(0))
        guard case .tell(_, _, let changes)? = machine.next(now: Self.at(0)) else { return }
        #expect(changes == [.init(ann, .came(period: "n1-1-1"))])
        machine.received(.told(dead: [], periods: ["n1-1-1"]), now: Self.at(0))
        machine.left(ann, now: Self.at(20))
        for reply in [.lost, .joined(dead: [], state: "done")] as [PresenceReply] {
            while case .sweep? = machine.next(now: Self.at(20)) {
                machine.received(.swept(cursor: "0", clients: []), now: Self.at(20))
            }
            machine.received(reply, now: Self.at(20))
        }
        for second: Int64 in 20..<40 {
            switch machine.next(now: Self.at(second)) {
            case .tell(_, _, let changes):
                #expect(changes.isEmpty)
                machine.received(.told(dead: [], periods: changes.map { _ in "" }), now: Self.at(second))
            case .sweep: machine.received(.swept(cursor: "0", clients: []), now: Self.at(second))
            default: break
            }
        }
        #expect(machine.size == 0)
    }
}
