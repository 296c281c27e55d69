// SPDX-License-Identifier: Apache-2.0
import Foundation
import SluiceCore
import SluiceRedis
import TestSupport
import Testing

/// `deploy/users-cluster.acl` in a real cluster, of one master: what each user can do, and above all what not.
@Suite("The users of a cluster have the rights that they need, and no others")
struct ClusterRightsTests {
    private static let news = ("sluice:{700}:topic:news", "sluice:{700}:last:topic:news", "sluice:{700}:clock")

    private static func start() async throws -> ClusterBench {
        let bench = try await ClusterBench(masters: 1)
        let lines = try String(contentsOfFile: "\(Repository.root)/deploy/users-cluster.acl", encoding: .utf8)
            .replacing("NODE-PASSWORD", with: "n0de").replacing("PUBLISHER-PASSWORD", with: "publ1sher")
            .replacing(
                "off resetpass resetkeys resetchannels -@all +auth",
                with: "on >adm1n resetkeys resetchannels -@all +auth")
        let server = try await bench.cluster.masters()[0]
        for line in lines.split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            try #require(words.count > 3 && words[0] == "user")
            if words[1] == "default" {
                #expect(words[2] == "off")
            } else {
                try await server.ask(["ACL", "SETUSER"] + words.dropFirst())
            }
        }
        return bench
    }

    private static func login(_ user: String, _ bench: ClusterBench) async throws -> RedisClient {
        let client = try await RedisClient(bench.cluster.masters()[0])
        let passwords = ["sluice-node": "n0de", "sluice-publisher": "publ1sher", "sluice-admin": "adm1n"]
        #expect(try await client.command("AUTH", user, passwords[user] ?? "") == "OK")
        return client
    }

    @Test(
        "a publisher publishes to topics, clients and everybody, with every option, as cluster clients do",
        .timeLimit(.minutes(1)))
    func publisher() async throws {
        let bench = try await ClusterRightsTests.start()
        let client = try await ClusterRightsTests.login("sluice-publisher", bench)
        for target in [try Target.topic("news"), try .client("ann"), .all] {
            let channel = ClusterBench.names.channel(target)
            #expect(try await client.command("SPUBLISH", channel, "plain") == "0")
            for words in [
                ClusterBench.publish(target), ClusterBench.publish(target, "once", "t"),
                ClusterBench.publish(target, "log", "0"),
                ClusterBench.publish(target, "event", "e", "key", "k", "ttl", "60", "maxlen", "3", "end", "1"),
            ] {
                let reply = try await client.pipeline([words.map { Array($0.utf8) }])[0]
                #expect(reply.hasSuffix(" 0"), "\(words): \(reply)")
            }
        }
        for words in [
            "HELLO 2", "COMMAND COUNT", "CLUSTER SLOTS", "CLUSTER SHARDS", "ASKING", "CLIENT SETNAME a", "PING",
        ] {
            let reply = try await client.pipeline([words.split(separator: " ").map { Array($0.utf8) }])[0]
            #expect(!reply.hasPrefix("-"), "\(words): \(reply)")
        }
        #expect(try await bench.cluster.masters()[0].ask("ACL", "LOG") == "")
    }

    @Test("a node ticks, publishes, reads, subscribes and looks where the partitions are", .timeLimit(.minutes(1)))
    func node() async throws {
        let bench = try await ClusterRightsTests.start()
        let client = try await ClusterRightsTests.login("sluice-node", bench)
        let (log, last, clock) = ClusterRightsTests.news
        let commands = [
            ["FUNCTION", "LOAD", "REPLACE", SluiceFunction.source], ["FCALL", "sluice_version", "0"],
            ["FCALL", "sluice_tick", "2", "sluice:{0}:node:n1", "sluice:{0}:clock", "0-0", "streams", "5"],
            ClusterBench.publish(try Target.topic("news"), "once", "t"),
            ["FCALL", "sluice_read", "2", log, last, "1000", "0-0", "1000"],
            ["MGET", last], ["HMGET", clock, "last", "born"], ["SPUBLISH", "sluice:{0}:control", "{}"],
            ["FCALL", "sluice_may_subscribe", "0", log], ["ASKING"], ["CLUSTER", "INFO"], ["CLUSTER", "SLOTS"],
            ["CLUSTER", "MYID"],
            ["SSUBSCRIBE", log], ["SUNSUBSCRIBE", log],
        ]
        for words in commands {
            let reply = try await client.pipeline([words.map { Array($0.utf8) }])[0]
            #expect(!reply.isEmpty && !reply.hasPrefix("-"), "\(words.prefix(3)): \(reply)")
        }
        #expect(try await bench.cluster.masters()[0].ask("ACL", "LOG") == "")
    }

    @Test("which shard channels a user may have is told without trying", .timeLimit(.minutes(1)))
    func maySubscribe() async throws {
        let bench = try await ClusterRightsTests.start()
        let server = try await bench.cluster.masters()[0]
        let names = ["sluice:{700}:topic:news", "other:{700}:topic:news", "sluice:{0}:control"]
        let ask = ["FCALL", "sluice_may_subscribe", "0"] + names
        let client = try await ClusterRightsTests.login("sluice-node", bench)
        let words = ask.map { Array($0.utf8) }
        #expect(try await client.pipeline([words])[0] == "\(names[0]) \(names[2])")
        try await server.ask("ACL", "SETUSER", "sluice-node", "-ssubscribe", "+subscribe")
        #expect(try await client.pipeline([words])[0] == "")
        #expect(try await server.ask("ACL", "LOG") == "")
    }

    /// One command a line; nobody but an administrator of Redis may do these.
    private static let forbiddenForAll = """
        FLUSHALL|CONFIG GET *|KEYS *|SCAN 0|INFO|MONITOR|SHUTDOWN NOSAVE|EVAL return(1) 0|FUNCTION FLUSH|FUNCTION DELETE sluice
        ACL LIST|CLIENT LIST|CLIENT KILL TYPE normal|CLIENT TRACKING ON|REPLICAOF no one|SELECT 0|READONLY|PSUBSCRIBE *
        CLUSTER RESET|CLUSTER FAILOVER|CLUSTER MEET 127.0.0.1 1|CLUSTER FORGET x|CLUSTER DELSLOTS 1|CLUSTER SETSLOT 1 STABLE
        CLUSTER GETKEYSINSLOT 13299 10|CLUSTER COUNTKEYSINSLOT 13299|CLUSTER FLUSHSLOTS|CLUSTER REPLICATE x|CLUSTER NODES
        MIGRATE 127.0.0.1 1 foreign 0 1|GET foreign|SET foreign x|DUMP foreign|DEL sluice:{700}:topic:news|XTRIM sluice:{700}:topic:news MAXLEN 0
        PUBLISH sluice:topic:news x|PUBLISH sluice:{700}:topic:news x|SUBSCRIBE sluice:{700}:topic:news|SPUBLISH foreign x
        SPUBLISH sluice:topic:news x|FCALL sluice_publish 1 foreign x|SSUBSCRIBE foreign
        """

    private static let forbidden = [
        "sluice-node": "",
        "sluice-publisher": """
        XRANGE sluice:{700}:topic:news - +|XLEN sluice:{700}:topic:news|SSUBSCRIBE sluice:{700}:topic:news|MGET sluice:{700}:last:topic:news
        SPUBLISH sluice:{0}:control x|SPUBLISH sluice:{0}:node:a x|FCALL sluice_tick 2 sluice:{700}:node:a sluice:{700}:clock 0-1
        GET sluice:{700}:topic:news|SET sluice:{700}:clock x|SET sluice:{700}:topic:news x|FUNCTION LOAD x|HGETALL sluice:{700}:clock
        """,
        "sluice-admin": """
        SPUBLISH sluice:{700}:topic:news x|SPUBLISH sluice:{50}:control x|SSUBSCRIBE sluice:{0}:control|GET sluice:{700}:last:topic:news
        FCALL sluice_publish 3 sluice:{700}:topic:news sluice:{700}:last:topic:news sluice:{700}:clock x|COPY a b
        """,
    ]

    @Test(
        "what a user has no need of it can't do", .timeLimit(.minutes(1)),
        arguments: ["sluice-node", "sluice-publisher", "sluice-admin"])
    func forbidden(user: String) async throws {
        let bench = try await ClusterRightsTests.start()
        let client = try await ClusterRightsTests.login(user, bench)
        let lines = ClusterRightsTests.forbiddenForAll + "\n" + (ClusterRightsTests.forbidden[user] ?? "")
        for line in lines.split(whereSeparator: { $0 == "|" || $0 == "\n" }) {
            let reply = try await client.pipeline([line.split(separator: " ").map { Array($0.utf8) }])[0]
            #expect(reply.hasPrefix("-NOPERM"), "\(user): \(line): \(reply)")
        }
        #expect(try await bench.keyCount() == 0)
    }

    @Test("a publisher who may not ask whether this is a cluster publishes all the same", .timeLimit(.minutes(1)))
    func unasked() async throws {
        let bench = try await ClusterRightsTests.start()
        let server = try await bench.cluster.masters()[0]
        try await server.ask("ACL", "SETUSER", "sluice-publisher", "-cluster|keyslot")
        let client = try await ClusterRightsTests.login("sluice-publisher", bench)
        let words = ClusterBench.publish(try Target.topic("news")).map { Array($0.utf8) }
        #expect(try await client.pipeline([words])[0].hasSuffix(" 0"))
        #expect(try await server.ask("ACL", "LOG") == "")
    }
}
