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
        #expect(names.clock == "sluice:clock")
        #expect(names.node("n1") == "sluice:node:n1")
        #expect(RedisNames(prefix: "a.b:c").channel(.all) == "a.b:c:all")
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
