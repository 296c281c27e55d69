// SPDX-License-Identifier: Apache-2.0
import SluiceRedis
import Testing

@Suite("RedisURL")
struct RedisURLTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let text: String
        var tls = false
        var kind = RedisURL.Kind.single
        var host = "h"
        var port = 6379
        /// Hosts behind the first.
        var others: [RedisAddress] = []
        var user = ""
        var password: String?
        var database = 0
        let shown: String

        var testDescription: String { text }
    }

    @Test(
        "each form gives its parts, and prints without its password",
        arguments: [
            Row(text: "redis://h", shown: "redis://h:6379/0"), Row(text: "redis://h/", shown: "redis://h:6379/0"),
            Row(text: "redis://h:1", port: 1, shown: "redis://h:1/0"),
            Row(text: "redis://h:65535/", port: 65535, shown: "redis://h:65535/0"),
            Row(text: "rediss://h/15", tls: true, database: 15, shown: "rediss://h:6379/15"),
            Row(
                text: "redis://redis.example.org:6380/0", host: "redis.example.org", port: 6380,
                shown: "redis://redis.example.org:6380/0"),
            Row(text: "redis://10.0.0.1", host: "10.0.0.1", shown: "redis://10.0.0.1:6379/0"),
            Row(text: "redis://[::1]", host: "::1", shown: "redis://[::1]:6379/0"),
            Row(
                text: "rediss://[fe80::1]:7000/2", tls: true, host: "fe80::1", port: 7000, database: 2,
                shown: "rediss://[fe80::1]:7000/2"),
            Row(text: "redis://:secret@h", password: "secret", shown: "redis://:***@h:6379/0"),
            Row(
                text: "redis://u:secret@h:1/2", port: 1, user: "u", password: "secret", database: 2,
                shown: "redis://u:***@h:1/2"),
            Row(text: "redis://u:@h", user: "u", password: "", shown: "redis://u:***@h:6379/0"),
            Row(text: "redis://u:a:b@h", user: "u", password: "a:b", shown: "redis://u:***@h:6379/0"),
            Row(text: "redis://u:a@b@h", user: "u", password: "a@b", shown: "redis://u:***@h:6379/0"),
            Row(text: "redis://u:p%40%2F%3A%25+@h", user: "u", password: "p@/:%+", shown: "redis://u:***@h:6379/0"),
            Row(
                text: "redis://us%65r:%E6%97%A5@[::1]:2", host: "::1", port: 2, user: "user", password: "日",
                shown: "redis://user:***@[::1]:2/0"),
            Row(
                text: "redis+sentinel://h/mymaster", kind: .sentinel(master: "mymaster"), port: 26379,
                shown: "redis+sentinel://h:26379/mymaster/0"),
            Row(
                text: "rediss+sentinel://u:secret@h:1,[::1],10.0.0.3:3/my-master.1_a/4", tls: true,
                kind: .sentinel(master: "my-master.1_a"), port: 1,
                others: [RedisAddress(host: "::1", port: 26379), RedisAddress(host: "10.0.0.3", port: 3)], user: "u",
                password: "secret", database: 4,
                shown: "rediss+sentinel://u:***@h:1,[::1]:26379,10.0.0.3:3/my-master.1_a/4"),
            Row(text: "redis+cluster://h", kind: .cluster, shown: "redis+cluster://h:6379"),
            Row(
                text: "rediss+cluster://u:a,b@h:7000,i:7001/", tls: true, kind: .cluster, port: 7000,
                others: [RedisAddress(host: "i", port: 7001)], user: "u", password: "a,b",
                shown: "rediss+cluster://u:***@h:7000,i:7001"),
        ])
    func parses(_ row: Row) throws {
        let url = try RedisURL(row.text)
        #expect(url.usesTLS == row.tls)
        #expect(url.kind == row.kind)
        #expect(url.hosts == [RedisAddress(host: row.host, port: row.port)] + row.others)
        #expect(url.user == row.user)
        #expect(url.password == row.password)
        #expect(url.database == row.database)
        #expect(url.description == row.shown)
    }

    @Test(
        "a bad one is refused with a reason that does not tell the password",
        arguments: [
            "", "h", "h:6379", "http://h", "REDIS://h", "redis:/h", "redis:h", "redis//h", " redis://h", "redis://",
            "redis:///0", "redis://:6379",
            "redis://h:", "redis://h:0", "redis://h:65536", "redis://h:x", "redis://h:-1", "redis://h:1x",
            "redis://h: 1", "redis://h/x",
            "redis://h/-1", "redis://h/1/2", "redis://h/1x", "redis://h/65536", "redis://u@h", "redis://u:p%@h",
            "redis://u:%FF@h", "redis://u:p@",
            "redis://u:p@:1", "redis://a b", "redis://h ", "redis://h?db=1", "redis://h#1", "redis://::1",
            "redis://fe80::1", "redis://[::1",
            "redis://::1]", "redis://[::1]x", "redis://[::1]:", "redis://a:b:1", "redis://[]", "unix:///tmp/redis.sock",
            "redis://u:hunter2@h:x", "redis://hunter2@h", "redis://h,i", "redis://h:1,i:2", "sentinel://h/m",
            "redis+sentinel://h", "redis+sentinel://h/", "redis+sentinel:///m", "redis+sentinel://h,/m",
            "redis+sentinel://h/a b", "redis+sentinel://h/m/x", "redis+sentinel://h/m/0/1", "redis+sentinel://h:0/m",
            "redis+sentinel://u:hunter2@h/", "redis+cluster://", "redis+cluster://h,", "redis+cluster://h/0",
            "redis+cluster://u:hunter2@h//", "redis+unix://h",
        ])
    func refuses(_ text: String) throws {
        let error = #expect(throws: RedisURL.Malformed.self) { try RedisURL(text) }
        let reason = try #require(error).description
        #expect(!reason.isEmpty)
        #expect(!reason.contains("hunter2"))
    }
}
