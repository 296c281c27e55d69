// SPDX-License-Identifier: Apache-2.0
import Foundation
import Logging
import NIOCore
import NIOPosix
import SluiceRedis
import Synchronization
import TestSupport
import Testing

/// Sentinels as a node has them, held from outside of the event loop.
private struct Watch: Sendable {
    let eventLoop = MultiThreadedEventLoopGroup.singleton.any()
    let locator: RedisLocator

    init(_ url: String, login: SentinelLogin = SentinelLogin(), logger: Logger? = nil) throws {
        let url = try RedisURL(url)
        locator = RedisLocator(
            url, try RedisEndpoint(url: url, clientName: "sentinel-test"), sentinel: login, on: eventLoop,
            logger: logger)
    }

    /// Where the master is, or why that is not known.
    func find() async -> String {
        do {
            return try await eventLoop.flatSubmit { [eventLoop, locator] in
                locator.master() ?? eventLoop.makeFailedFuture(RedisError.unavailable)
            }.get().description
        } catch { return "\(error)" }
    }

    func connect() async throws -> NIOLoopBound<RedisConnection> {
        try await eventLoop.flatSubmit { [eventLoop, locator] in
            locator.connect(on: eventLoop).assumeIsolated().map { NIOLoopBound($0, eventLoop: eventLoop) }.nonisolated()
        }.get()
    }

    func close() async throws {
        try await eventLoop.submit { [locator] in locator.close() }.get()
    }
}

@Suite("Sentinels, the real ones", .serialized)
struct SentinelTests {
    @Test("name the master, which is connected to, also while one of them is dead and one says nothing")
    func find() async throws {
        let deployment = try await SentinelDeployment()
        let log = LogLines()
        let watch = try Watch(deployment.url, logger: log.logger)
        let master = "127.0.0.1:\(deployment.servers[0].port)"
        #expect(await watch.find() == master)
        let connection = try await watch.connect()
        let address = try await watch.eventLoop.submit { connection.value.address.description }.get()
        #expect(address == master)
        await deployment.sentinels[0].kill()
        for _ in 0..<3 { #expect(await watch.find() == master) }
        deployment.sentinels[1].signal(SIGSTOP)
        for _ in 0..<3 { #expect(await watch.find() == master, "one is left") }
        deployment.sentinels[1].signal(SIGCONT)
        #expect(
            await eventually {
                _ = await watch.find()
                return log.all.withLock { $0.contains { $0.hasPrefix("notice a Sentinel answers again") } }
            })
        for sentinel in deployment.sentinels { await sentinel.kill() }
        #expect(await watch.find().hasPrefix("no Sentinel answers (127.0.0.1:\(deployment.sentinels[0].port): "))
        let silent = log.all.withLock { $0.filter { $0.hasPrefix("warning a Sentinel does not answer") } }
        #expect(silent.count == 4, "each once when it falls silent: \(silent)")
        try await watch.close()
    }

    @Test("tell of a failover, once it is over all of them name the new master")
    func hint() async throws {
        let deployment = try await SentinelDeployment()
        let watch = try Watch(deployment.url)
        let hints = Mutex(0)
        try await watch.eventLoop.submit { [locator = watch.locator] in
            locator.listen { hints.withLock { $0 += 1 } }
        }.get()
        _ = await watch.find()
        #expect(await eventually { try await deployment.isHeard() }, "a subscription to +switch-master")
        let master = try await deployment.failOver()
        #expect(await eventually(within: 30) { hints.withLock { $0 } > 0 })
        #expect(await eventually { await watch.find() == "127.0.0.1:\(master.port)" })
        try await watch.close()
        #expect(await eventually { try await !deployment.isHeard() })
    }

    @Test("that ask for a login get their own, not the servers'; a user of theirs needs four rights")
    func login() async throws {
        let deployment = try await SentinelDeployment(password: "s3ntinels")
        let master = "127.0.0.1:\(deployment.servers[0].port)"
        let url = deployment.url.replacing("://", with: "://:servers@")
        #expect(await (try Watch(url)).find().contains("NOAUTH"))
        #expect(await (try Watch(url, login: SentinelLogin(password: "wrong"))).find().contains("WRONGPASS"))
        #expect(await (try Watch(url, login: SentinelLogin(password: "s3ntinels"))).find() == master)
        let acl = try String(contentsOfFile: "\(Repository.root)/deploy/sentinel-users.acl", encoding: .utf8)
        let words = try #require(acl.split(separator: "\n").first { $0.hasPrefix("user sluice-node ") })
            .replacing("NODE-PASSWORD", with: "n0de").split(separator: " ").map(String.init)
        for sentinel in deployment.sentinels {
            let client = try await RedisClient(port: sentinel.port)
            try await client.command("AUTH", "s3ntinels")
            let replies = try await client.pipeline([(["ACL", "SETUSER"] + words.dropFirst()).map { Array($0.utf8) }])
            #expect(replies == ["OK"])
        }
        let log = LogLines()
        let watch = try Watch(url, login: SentinelLogin(user: "sluice-node", password: "n0de"), logger: log.logger)
        try await watch.eventLoop.submit { [locator = watch.locator] in locator.listen {} }.get()
        #expect(await watch.find() == master)
        #expect(await eventually { try await deployment.isHeard() })
        for sentinel in deployment.sentinels {
            let denied = try await sentinel.cli("ACL", "LOG")
            #expect(!denied.contains("sluice-node"))
        }
        #expect(log.all.withLock { $0 }.isEmpty)
        let client = try await RedisClient(port: deployment.sentinels[0].port)
        try await client.command("AUTH", "sluice-node", "n0de")
        for command in [
            "SENTINEL MASTERS", "SENTINEL FAILOVER sluice", "SUBSCRIBE +odown", "SHUTDOWN", "ACL LIST", "INFO",
        ] {
            let reply = try await client.pipeline([command.split(separator: " ").map { Array($0.utf8) }])[0]
            #expect(reply.hasPrefix("-NOPERM"), "\(command): \(reply)")
        }
        try await watch.close()
    }

    @Test("that know no such master are told from Sentinels that are not there")
    func unknownMaster() async throws {
        let deployment = try await SentinelDeployment()
        #expect(await (try Watch(deployment.url(master: "other"))).find() == "the Sentinels know no master other")
        let server = deployment.servers[0]
        let reason = await (try Watch("redis+sentinel://127.0.0.1:\(server.port)/sluice")).find()
        #expect(reason.hasPrefix("no Sentinel answers (127.0.0.1:\(server.port): ERR unknown command"))
    }

    @Test("A server that is a replica is not used, whoever named it")
    func replica() async throws {
        let master = try await RedisServer()
        let replica = try await RedisServer(arguments: ["--replicaof", "127.0.0.1 \(master.port)"])
        let watch = try Watch(replica.url)
        let error = await #expect(throws: RedisError.self) { _ = try await watch.connect() }
        #expect(error == .unfit("127.0.0.1:\(replica.port) is a replica"))
        try await replica.cli("REPLICAOF", "NO", "ONE")
        let connection = try await watch.connect()
        try await watch.eventLoop.submit { connection.value.close() }.get()
    }
}

extension SentinelDeployment {
    /// Whether somebody listens at one of the Sentinels.
    fileprivate func isHeard() async throws -> Bool {
        for sentinel in sentinels
        where try await sentinel.cli("CLIENT", "LIST").contains(/name=sentinel-test .* sub=1/) { return true }
        return false
    }
}
