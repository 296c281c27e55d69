// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import SluiceRedis
import Testing

@Suite("RedisNames")
struct RedisNamesTests {
    @Test("the names are those of the public contract")
    func names() throws {
        let names = RedisNames(prefix: "sluice")
        #expect(names.channel(try .topic("news")) == "sluice:topic:news")
        #expect(names.channel(try .client("c:1")) == "sluice:client:c:1")
        #expect(names.channel(.all) == "sluice:all")
        #expect(names.marker(try .topic("news")) == "sluice:last:topic:news")
        #expect(names.marker(try .client("c:1")) == "sluice:last:client:c:1")
        #expect(names.marker(.all) == "sluice:last:all")
        #expect(names.clock(.first) == "sluice:clock")
        #expect(names.node("n1", .first) == "sluice:node:n1")
        #expect(RedisNames(prefix: "a.b:c").channel(.all) == "a.b:c:all")
    }

    @Test("in a cluster they carry the tag of the target's partition, which is chosen as Redis chooses slots")
    func clusterNames() throws {
        let names = RedisNames(prefix: "sluice", partitioning: .cluster)
        // CLUSTER KEYSLOT topic:news is 13710, and 13710 mod 16 is 14.
        let news = try Target.topic("news")
        #expect(Partitioning.cluster.partition(of: news) == Partition(14))
        #expect(names.channel(news) == "sluice:{700}:topic:news")
        #expect(names.marker(news) == "sluice:{700}:last:topic:news")
        #expect(names.once(news, token: "t") == "sluice:{700}:once:topic:news t")
        #expect(names.clock(Partition(14)) == "sluice:{700}:clock")
        #expect(names.node("n1", Partition(15)) == "sluice:{750}:node:n1")
        #expect(names.control == "sluice:{0}:control")
        #expect(KeyHash.crc16("123456789".utf8) == 0x31C3)
    }

    @Test(
        "a prefix of plain characters is taken",
        arguments: [
            "sluice", "s", "a.b_c-d", "A:B", "app:sluice", "topic", "client", "all", "x:",
            String(repeating: "p", count: 64),
        ])
    func goodPrefixes(_ prefix: String) {
        #expect(RedisNames.problem(prefix: prefix) == nil)
    }

    @Test(
        "a prefix that Redis or the function would misread is refused",
        arguments: [
            "", String(repeating: "p", count: 65), "a b", "a{b}", "{7}", "a*", "a?", "a[", "a\n", "é", "a/b", "a\\",
            "a\"", ":", ":a",
            "a:topic", "a:client", "a:topic:b", "x:client:y", ":topic", "a\0", "😀",
        ])
    func badPrefixes(_ prefix: String) {
        #expect(RedisNames.problem(prefix: prefix) != nil)
    }
}
