// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    /// `deploy/users.acl` in a real Redis: what each user can do, and above all what not.
    @Suite("has the rights in Redis that it needs, and its publishers fewer")
    struct RedisRightsTests {
        /// A Redis with these users beside the default one, which stays for the test.
        private static func start() async throws -> RedisServer {
            let redis = try await RedisServer(arguments: ["--enable-debug-command", "yes"])
            let lines = try String(contentsOfFile: "\(Repository.root)/deploy/users.acl", encoding: .utf8)
                .replacing("NODE-PASSWORD", with: "n0de").replacing("PUBLISHER-PASSWORD", with: "publ1sher")
            let client = try await RedisClient(redis)
            for line in lines.split(separator: "\n") {
                let words = line.split(separator: " ").map(String.init)
                try #require(words.count > 3 && words[0] == "user")
                if words[1] == "default" {
                    #expect(words[2] == "off")
                } else {
                    let command = (["ACL", "SETUSER"] + words.dropFirst()).map { Array($0.utf8) }
                    #expect(try await client.pipeline([command]) == ["OK"], "\(line)")
                }
            }
            // As deploy/README.md says.
            try await client.command("ACL", "SETUSER", "sluice-admin", "on", ">adm1n")
            return redis
        }

        private static let passwords = [
            "sluice-node": "n0de", "sluice-publisher": "publ1sher", "sluice-admin": "adm1n",
        ]

        private func login(_ user: String, _ redis: RedisServer) async throws -> RedisClient {
            let client = try await RedisClient(redis)
            let password = try #require(RedisRightsTests.passwords[user])
            #expect(try await client.command("AUTH", user, password) == "OK")
            return client
        }

        private func node(_ redis: RedisServer, _ arguments: [String] = []) async throws -> GuardedNode {
            try await GuardedNode(["--redis", "redis://sluice-node:n0de@127.0.0.1:\(redis.port)"] + arguments)
        }

        @Test(
            "A node with its own user's rights does all that a node does: publish, subscribe, resume, end, disconnect, tell who comes and goes",
            .timeLimit(.minutes(1)))
        func nodeWorks() async throws {
            let redis = try await RedisRightsTests.start()
            let guarded = try await node(redis, ["--presence"])
            let admin = try #require(try await Visitor.admin.token())
            let stream = try await guarded.stream("/events?topic=a&topic=b&client=alice", admin)
            let topics = try await guarded.stream("/events?topic=a", admin)
            for stream in [stream, topics] { #expect(await stream.waits { $0.events.first?.type == "checkpoint" }) }
            for target in [#""topic":"a""#, #""topic":"b""#, #""client":"alice""#, #""all":true"#] {
                for options in [
                    "", #","once":"token 1""#, #","log":false"#, #","ttl":60,"maxlen":5,"event":"e","replicas":1"#,
                ] {
                    #expect(try await guarded.publish("{\(target),\"data\":\"x\"\(options)}", admin).status == 200)
                }
            }
            #expect(await stream.receives(16))
            #expect(await topics.receives(8))

            let resumed = try await guarded.stream("/events?topic=a&client=alice&last_event_id=earliest", admin)
            // What went to everybody is no part of it, but for what came since the last reading of the clock.
            #expect(await resumed.receives(6))
            #expect(try await guarded.publish(#"{"topic":"b","data":"last","end":true}"#, admin).status == 200)
            #expect(await stream.receives(17))
            let isEnded = await eventually {
                try await Knock(
                    guarded.port, "/events?topic=b", headers: [("Authorization", "Bearer \(admin)")]
                ).fate == .answered(204)
            }
            #expect(isEnded)

            let who = try await request(guarded.port, "GET", "/clients/alice", headers: GuardedNode.bearer(admin))
            #expect(who.json?["streams"] as? Int == 2 && who.json?["complete"] as? Bool == true, "\(who)")
            let answer = try await request(
                guarded.port, "DELETE", "/clients/alice?reconnect=false", headers: GuardedNode.bearer(admin))
            #expect(answer.json?["nodes"] as? Int == 1)
            #expect(await stream.waits { $0.cleanEnds == 1 })
            #expect(topics.now.isOpen)
            // It reads the marker of each log now and then, and repairs what a cut feed has missed.
            try await redis.cli("CLIENT", "KILL", "TYPE", "pubsub")
            #expect(try await guarded.publish(#"{"topic":"a","data":"meanwhile"}"#, admin).status == 200)
            #expect(await topics.waits { $0.messages.last?.data == "meanwhile" })
            #expect(try await request(guarded.port, "GET", "/readyz").status == 200)
            for state in ["present", "absent"] {
                #expect(
                    await eventually(within: 20) {
                        try await redis.cli("XRANGE", "sluice:presence", "-", "+").contains(state)
                    })
            }

            #expect(try await redis.cli("ACL", "LOG") == "")
            #expect(!guarded.node.output.contains("refuses") && !guarded.node.output.contains("who comes and goes"))
        }

        @Test("A node that lacks a right says so", .timeLimit(.minutes(1)))
        func nodeComplains() async throws {
            let redis = try await RedisRightsTests.start()
            try await redis.cli("ACL", "SETUSER", "sluice-node", "-mget")
            let guarded = try await node(redis)
            let stream = try await guarded.stream("/events?topic=public.a", nil)
            #expect(
                await eventually { guarded.node.output.contains("mget") && guarded.node.output.contains("users.acl") })
            #expect(stream.now.events.isEmpty)
        }

        @Test(
            "A node that Redis lets neither tick nor give a sign of life keeps its feed, and its streams hear what is published",
            .timeLimit(.minutes(1)))
        func keepsFeed() async throws {
            let redis = try await RedisRightsTests.start()
            let guarded = try await node(redis)
            let stream = try await guarded.stream("/events?topic=public.a", nil)
            try await redis.cli("ACL", "SETUSER", "sluice-node", "-fcall", "-publish")
            // More of them than a feed may be silent for.
            #expect(
                await eventually(within: 40) {
                    try await guarded.node.metric("redis_refusals_total{code=\"NOPERM\"}") >= 12
                })
            try await redis.cli("PUBLISH", "sluice:topic:public.a", "heard")
            #expect(await stream.receives(1) && stream.data == ["heard"] && stream.now.openings == 1)
            #expect(!guarded.node.output.contains("connecting anew"), "\(guarded.node.output)")
        }

        /// One command a line; nobody but an administrator of Redis may do these.
        private static let forbiddenForAll = """
            FLUSHALL|FLUSHDB|CONFIG GET *|CONFIG SET maxmemory 1|KEYS *|SCAN 0|RANDOMKEY|DBSIZE|MONITOR|SHUTDOWN NOSAVE
            DEBUG SLEEP 0|EVAL return(1) 0|EVALSHA 0 0|SCRIPT LOAD return(1)|SCRIPT FLUSH|FUNCTION FLUSH|FUNCTION DELETE sluice
            FUNCTION RESTORE x|FUNCTION DUMP|ACL LIST|ACL SETUSER evil on|ACL WHOAMI|ACL LOG|CLIENT LIST|CLIENT KILL TYPE normal
            CLIENT PAUSE 1|SAVE|BGSAVE|BGREWRITEAOF|REPLICAOF no one|CLUSTER INFO|MODULE LIST|SLOWLOG GET|LATENCY LATEST|SWAPDB 0 1
            GET foreign|SET foreign x|DEL foreign|MGET foreign|XRANGE foreign - +|HGETALL foreign|DUMP foreign|TYPE foreign
            MIGRATE 127.0.0.1 1 foreign 0 1|RENAME foreign other|COPY foreign other|OBJECT ENCODING foreign|SORT foreign
            PUBLISH foreign x|SPUBLISH sluice:topic:news x|PSUBSCRIBE *|PSUBSCRIBE sluice:*|SSUBSCRIBE sluice:topic:news|SUBSCRIBE foreign
            FCALL sluice_publish 1 foreign x|FCALL sluice_publish 1 other:topic:news x|FCALL sluice_tick 1 other:node:a 0-1
            DEL sluice:topic:news|UNLINK sluice:topic:news|XTRIM sluice:topic:news MAXLEN 0|XDEL sluice:topic:news 1-1
            CLIENT TRACKING ON BCAST|CLIENT TRACKING ON|CLIENT CACHING YES|CLIENT TRACKINGINFO|CLIENT GETREDIR|CLIENT NO-EVICT ON
            CLIENT INFO|CLIENT ID|CLIENT GETNAME|CLIENT UNPAUSE|CLIENT UNBLOCK 1|CLIENT HELP|COMMAND|COMMAND DOCS|READONLY
            RENAME sluice:topic:news sluice:topic:b|EXPIREAT sluice:topic:news 1|PERSIST sluice:topic:news|XREAD STREAMS sluice:topic:news 0
            """

        private static let forbidden = [
            "sluice-publisher": forbiddenForPublishers, "sluice-admin": forbiddenForAdmins,
        ]

        /// Beyond that a publisher reads no event, hears none, speaks for no node and disconnects nobody.
        private static let forbiddenForPublishers = """
            INFO|XRANGE sluice:topic:news - +|XREVRANGE sluice:topic:news + -|XLEN sluice:topic:news|XINFO STREAM sluice:topic:news
            SUBSCRIBE sluice:topic:news|SUBSCRIBE sluice:all|SUBSCRIBE sluice:control|SUBSCRIBE sluice:node:a|PUBSUB CHANNELS
            PUBLISH sluice:control x|PUBLISH sluice:node:a x|PUBLISH sluice:clock x|PUBLISH sluice:last:topic:news x
            FCALL sluice_tick 1 sluice:node:a 0-1|FCALL sluice_tick 1 sluice:topic:x:node:a 0-1|FUNCTION LOAD x|FUNCTION LIST
            GET sluice:topic:news|DEL sluice:clock|EXPIRE sluice:topic:news 1|HGETALL sluice:clock|MGET sluice:last:topic:news
            SET sluice:topic:news x|SET sluice:clock x|SET sluice:node:a x|FCALL sluice_publish 1 sluice:control x
            FCALL sluice_publish 1 sluice:node:a x|FCALL sluice_publish 1 sluice:last:topic:news x
            """

        private static let forbiddenForAdmins = """
            INFO|PUBLISH sluice:topic:news x|PUBLISH sluice:all x|PUBLISH sluice:client:alice x|PUBLISH sluice:node:a x|SUBSCRIBE sluice:control
            FCALL sluice_publish 1 sluice:topic:news x|GET sluice:last:topic:news|SET sluice:once:topic:a x|XRANGE sluice:topic:news - +
            """

        @Test(
            "What a user has no need of it can't do, and it changes nothing", .timeLimit(.minutes(1)),
            arguments: [
                "sluice-node", "sluice-publisher", "sluice-admin",
            ])
        func forbidden(user: String) async throws {
            let redis = try await RedisRightsTests.start()
            let guarded = try await node(redis)
            let admin = try await Visitor.admin.token()
            #expect(try await guarded.publish(#"{"topic":"news","data":"x","once":"t"}"#, admin).status == 200)
            try await redis.cli("SET", "foreign", "x")
            await guarded.node.kill()
            let keys = try await redis.cli("DBSIZE")
            let log = try await redis.cli("XRANGE", "sluice:topic:news", "-", "+")
            let client = try await login(user, redis)
            let commands = RedisRightsTests.forbiddenForAll + "\n" + (RedisRightsTests.forbidden[user] ?? "")
            for line in commands.split(whereSeparator: { $0 == "|" || $0 == "\n" }) {
                let words = line.split(separator: " ").map { Array($0.utf8) }
                let reply = try await client.pipeline([words])[0]
                // The second where a function may begin, but not do it.
                let isRefused = reply.hasPrefix("-NOPERM") || reply.contains("can't access at least one of the keys")
                #expect(isRefused, "\(user): \(line): \(reply)")
            }
            #expect(try await redis.cli("DBSIZE") == keys)
            #expect(try await redis.cli("XRANGE", "sluice:topic:news", "-", "+") == log)
        }

        @Test(
            "No user is told the names of others' keys", .timeLimit(.minutes(1)),
            arguments: ["sluice-node", "sluice-publisher", "sluice-admin"])
        func tracking(user: String) async throws {
            let redis = try await RedisRightsTests.start()
            // What Redis itself would allow each user, over all commands that a connection has: a newer Redis has more.
            let text = try await redis.cli("COMMAND", "LIST", "FILTERBY", "ACLCAT", "connection")
            let commands = text.split(separator: "\n").map(String.init).filter { $0 != "client" }
            try #require(commands.contains("client|tracking"))
            // The last is one that Redis refuses nobody, as auth, hello and quit.
            var needed: Set = ["auth", "hello", "ping", "echo", "select", "quit", "client|setname", "reset"]
            // Who publishes may ask whether replicas have it.
            if user != "sluice-admin" { needed.insert("wait") }
            let client = try await RedisClient(redis)
            for command in commands {
                let words = ["ACL", "DRYRUN", user] + command.split(separator: "|").map(String.init)
                // With as many arguments as it takes.
                let variants = (0...6).map { (words + Array(repeating: "1", count: $0)).map { Array($0.utf8) } }
                let verdicts = try await client.pipeline(variants).filter {
                    !$0.contains("wrong number") && !$0.contains("not found")
                }
                try #require(!verdicts.isEmpty, "\(command)")
                let isAllowed = verdicts.contains { !$0.contains("no permissions") }
                #expect(isAllowed == needed.contains(command), "\(user), \(command): \(verdicts)")
            }
        }

        @Test(
            "A publisher publishes to topics, clients and everybody, by PUBLISH and by FCALL with every option",
            .timeLimit(.minutes(1)))
        func publisherWorks() async throws {
            let redis = try await RedisRightsTests.start()
            let guarded = try await node(redis)
            let stream = try await guarded.stream("/events?topic=a&client=alice", try await Visitor.admin.token())
            #expect(await stream.waits { !$0.events.isEmpty })
            let client = try await login("sluice-publisher", redis)
            for name in ["sluice:topic:a", "sluice:client:alice", "sluice:all"] {
                #expect(try await client.command("PUBLISH", name, "plain") == "1")
                for options in [
                    [], ["once", "t"], ["event", "e", "key", "k"], ["log", "0"], ["ttl", "60", "maxlen", "3"],
                ] {
                    let words = (["FCALL", "sluice_publish", "1", name, "x"] + options).map { Array($0.utf8) }
                    let reply = try await client.pipeline([words])[0]
                    #expect(reply.hasSuffix(" 1"), "\(name) \(options): \(reply)")
                }
            }
            #expect(await stream.receives(18))
            // What a client library does before.
            #expect(try await !client.command("HELLO", "2").hasPrefix("-"))
            #expect(try await client.command("CLIENT", "SETNAME", "a") == "OK")
            #expect(try await client.command("PING") == "PONG")
            #expect(try await redis.cli("ACL", "LOG") == "")
        }

        @Test(
            "The third user ends a client's streams and nothing else; as delivered it is off", .timeLimit(.minutes(1)))
        func adminWorks() async throws {
            let acl = try String(contentsOfFile: "\(Repository.root)/deploy/users.acl", encoding: .utf8)
            #expect(acl.contains("user sluice-admin off resetpass "))
            let redis = try await RedisRightsTests.start()
            let guarded = try await node(redis)
            let stream = try await guarded.stream("/events?client=alice", try await Visitor.admin.token())
            #expect(await stream.waits { !$0.events.isEmpty })
            let client = try await login("sluice-admin", redis)
            #expect(try await client.command("PUBLISH", "sluice:control", #"{"disconnect":"alice"}"#) == "1")
            #expect(await stream.waits { $0.cleanEnds == 1 })
        }

        @Test("Nobody comes in without a password, or with another's", .timeLimit(.minutes(1)))
        func passwords() async throws {
            let redis = try await RedisRightsTests.start()
            try await redis.cli("CONFIG", "SET", "requirepass", "the test's own")
            for (user, password) in [
                ("sluice-node", ""), ("sluice-node", "NODE-PASSWORD"), ("sluice-node", "publ1sher"),
                ("sluice-publisher", "n0de"), ("default", ""), ("sluice-admin", ""), ("sluice-admin", "ADMIN-PASSWORD"),
            ] {
                let client = try await RedisClient(redis)
                #expect(try await client.command("AUTH", user, password).hasPrefix("-WRONGPASS"), "\(user)")
                #expect(try await client.command("PUBLISH", "sluice:all", "x").hasPrefix("-NOAUTH"))
            }
        }
    }
}
