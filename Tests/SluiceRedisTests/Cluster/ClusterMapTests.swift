// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import SluiceRedis
import Testing

@Suite("ClusterMap")
struct ClusterMapTests {
    private static let asked = RedisAddress(host: "seed", port: 7000)

    private static func info(epoch: Int) -> RESPValue {
        .text("cluster_state:ok\r\ncluster_current_epoch:\(epoch)\r\ncluster_my_epoch:1\r\n")
    }

    private static func server(_ host: RESPValue, _ port: Int64, _ id: String) -> RESPValue {
        .array([host, .integer(port), .text(id), .array([])])
    }

    private static func range(_ low: Int64, _ high: Int64, _ servers: RESPValue...) -> RESPValue {
        .array([.integer(low), .integer(high)] + servers)
    }

    private static func map(_ ranges: RESPValue..., epoch: Int = 6) throws -> ClusterMap {
        try ClusterMap(replies: [info(epoch: epoch), .array(ranges)], asked: asked)
    }

    @Test("each partition belongs to the master that has the slot of its tag")
    func owners() throws {
        // redis-cli: CLUSTER KEYSLOT {0}, {50} … {750}
        let slots = Partitioning.cluster.partitions.map { RedisNames.slot($0) }
        #expect(slots[0] == 13907 && Set(slots).count == 16)
        let map = try ClusterMapTests.map(
            ClusterMapTests.range(
                0, 8191, ClusterMapTests.server(.text("10.0.0.1"), 1, "a"),
                ClusterMapTests.server(.text("10.0.0.2"), 2, "b")),
            ClusterMapTests.range(8192, 16383, ClusterMapTests.server(.text("10.0.0.3"), 3, "c")))
        #expect(map.epoch == 6)
        #expect(map.servers.map(\.description) == ["10.0.0.1:1", "10.0.0.2:2", "10.0.0.3:3"])
        for (slot, owner) in zip(slots, map.owners) { #expect(owner?.id == (slot < 8192 ? "a" : "c")) }
        #expect(map.owners.count { $0?.id == "a" } == 8)
    }

    @Test("a slot that nobody has leaves its partition without a master, and no others")
    func holes() throws {
        let slot = Int64(RedisNames.slot(Partition(3)))
        let master = ClusterMapTests.server(.text("h"), 1, "a")
        let map = try ClusterMapTests.map(
            ClusterMapTests.range(0, slot - 1, master), ClusterMapTests.range(slot + 1, 16383, master))
        #expect(map.owners.indices.filter { map.owners[$0] == nil } == [3])
        #expect(try ClusterMapTests.map().owners == Array(repeating: nil, count: 16), "a server that was never joined")
    }

    @Test(
        "a server that does not know its own address is where it was asked",
        arguments: [RESPValue.null, .text(""), .text("?")])
    func unknownHost(_ host: RESPValue) throws {
        let map = try ClusterMapTests.map(ClusterMapTests.range(0, 16383, ClusterMapTests.server(host, 7001, "a")))
        #expect(map.owners[0]?.address == RedisAddress(host: "seed", port: 7001))
    }

    @Test("what is no answer of a cluster is refused")
    func malformed() {
        let info = ClusterMapTests.info(epoch: 1)
        let answers: [[RESPValue]] = [
            [], [info], [info, .null], [.text("cluster_state:ok"), .array([])], [info, .array([.integer(1)])],
            [info, .array([.array([.integer(0), .integer(16383)])])],
            [info, .array([ClusterMapTests.range(5, 4, ClusterMapTests.server(.text("h"), 1, "a"))])],
            [info, .array([ClusterMapTests.range(0, 1, ClusterMapTests.server(.text("h"), 0, "a"))])],
            [info, .array([ClusterMapTests.range(0, 1, ClusterMapTests.server(.text("h"), 70000, "a"))])],
        ]
        for replies in answers {
            #expect(throws: ClusterMap.Malformed.self) {
                try ClusterMap(replies: replies, asked: ClusterMapTests.asked)
            }
        }
    }

    @Test(
        "a redirection names a server, also one by an IPv6 address or the one that was asked",
        arguments: [
            ("MOVED 3999 10.0.0.7:6379", false, "10.0.0.7:6379"), ("ASK 3999 h:1", true, "h:1"),
            ("MOVED 1 2001:db8::1:6381", false, "[2001:db8::1]:6381"), ("MOVED 1 :6381", false, "seed:6381"),
            ("ASK 1 ?:6381", true, "seed:6381"),
        ])
    func redirections(_ message: String, isAsking: Bool, address: String) throws {
        let redirection = try #require(Redirection(message, asked: ClusterMapTests.asked))
        #expect(redirection.isAsking == isAsking && redirection.address.description == address)
    }

    @Test(
        "anything else is none",
        arguments: [
            "", "MOVED", "MOVED 1", "MOVED 1 h", "MOVED 1 h:", "ASK 1 h:0", "ASK 1 h:70000", "ERR no", "moved 1 h:1",
        ])
    func noRedirections(_ message: String) {
        #expect(Redirection(message, asked: ClusterMapTests.asked) == nil)
    }

    @Test("a name's partition is read from its tag, and another tag is nobody's")
    func partitions() {
        let names = RedisNames(prefix: "a.b:c", partitioning: .cluster)
        func partition(_ name: String) -> Partition? {
            Array(name.utf8).withUnsafeBytes { RedisNames.partition(of: $0) }
        }
        for number in Partitioning.cluster.partitions {
            #expect(partition(names.clock(number)) == number && partition(names.node("n", number)) == number)
        }
        for name in [
            "", "a:clock", "a:{", "a:{0", "a:{1}:x", "a:{800}:x", "a:{7000}:x", "a:{x}:x", "a:{75 }",
            "a:{99999999999999999999}",
        ] {
            #expect(partition(name) == nil, "\(name)")
        }
    }
}
