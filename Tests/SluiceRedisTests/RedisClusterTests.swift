// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@Suite("The cluster that tests use")
struct RedisClusterTests {
    @Test(
        "fails over, loses a master, takes it back as a replica, moves slots to a new master", .timeLimit(.minutes(2)))
    func life() async throws {
        let cluster = try await RedisCluster(masters: 3, replicas: 1)
        let owners = try await cluster.masters()
        #expect(owners.count == 3)
        #expect(try await cluster.master(of: "x{0}") === owners[2])
        let replica = try #require(try await cluster.replicas(of: owners[0]).first)
        try await cluster.failOver(to: replica)
        #expect(try await cluster.masters().first === replica)
        #expect(try await cluster.kill(replica) === owners[0])
        let back = try await cluster.restart(replica)
        #expect(await eventually { try await cluster.replicas(of: owners[0]).first === back })

        let slot = try await cluster.slot(of: "{700}")
        let source = try await cluster.master(ofSlot: slot)
        for key in ["{700}", "a b{700}"] { try await source.ask("SET", key, "x") }
        let added = try await cluster.addMaster()
        try await cluster.move(slot: slot, to: added)
        #expect(try await cluster.master(of: "{700}") === added)
        #expect(try await added.ask("GET", "a b{700}") == "x")
        #expect(try await cluster.masters().count == 4)
    }
}
