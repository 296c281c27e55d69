// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import NIOPosix
import SluiceRedis
import Synchronization
import TestSupport
import Testing

/// A link, held from outside of its event loop.
private final class Link: Sendable {
    private let eventLoop: any EventLoop
    private let box: NIOLoopBoundBox<RedisLink?>
    let preparations = Mutex(0)
    /// Lets the preparation of a connection fail.
    let failsToPrepare = Mutex(false)

    init(
        port: Int, logger: Logger = quiet, on eventLoop: any EventLoop = MultiThreadedEventLoopGroup.singleton.any(),
        isStarted: Bool = true
    ) async throws {
        self.eventLoop = eventLoop
        box = NIOLoopBoundBox.makeEmptyBox(valueType: RedisLink.self, eventLoop: eventLoop)
        let endpoint = try RedisEndpoint(url: RedisURL("redis://127.0.0.1:\(port)"), clientName: "link-test")
        let box = box
        try await eventLoop.submit {
            box.value = RedisLink(to: .fixed(endpoint), on: eventLoop, logger: logger)
        }.get()
        if isStarted { try await start() }
    }

    func start() async throws {
        let box = box
        try await eventLoop.submit { [weak self, eventLoop] in
            box.value?.start { _ in
                self?.preparations.withLock { $0 += 1 }
                if self?.failsToPrepare.withLock({ $0 }) == true {
                    return eventLoop.makeFailedFuture(RedisError.refused("NOPERM"))
                }
                return eventLoop.makeSucceededVoidFuture()
            }
        }.get()
    }

    /// Both have to lead to the same server.
    static func pair(ports: Int, _ other: Int) async throws -> (Link, Link) {
        let first = try await Link(port: ports, isStarted: false)
        let second = try await Link(port: other, on: first.eventLoop, isStarted: false)
        try await first.eventLoop.submit { [box = first.box, other = second.box] in
            if let first = box.value, let second = other.value { first.pair(with: second) }
        }.get()
        try await first.start()
        _ = await eventually { try await first.isUp() }
        try await second.start()
        return (first, second)
    }

    func isUp() async throws -> Bool {
        let box = box
        return try await eventLoop.submit { box.value?.isUp ?? false }.get()
    }

    func ping() async -> Result<RESPValue, RedisError> {
        let box = box
        do {
            let reply = try await eventLoop.flatSubmit { [eventLoop] in
                box.value?.send(["PING"]) ?? eventLoop.makeFailedFuture(RedisError.overloaded)
            }.get()
            return .success(reply)
        } catch {
            return .failure(error as? RedisError ?? .refused("\(error)"))
        }
    }

    func reconnect() async throws {
        let box = box
        try await eventLoop.submit { box.value?.lookAgain() }.get()
    }

    func stop() async throws {
        let box = box
        try await eventLoop.submit {
            box.value?.stop()
            box.value = nil
        }.get()
    }
}

@Suite("RedisLink against a real Redis")
struct RedisLinkTests {
    /// Whether Redis comes to have so many connections of the link.
    private static func has(_ count: Int, _ server: RedisServer) async -> Bool {
        await eventually {
            try await server.cli("CLIENT", "LIST").split(separator: "\n").count { $0.contains("name=link-test ") }
                == count
        }
    }

    @Test("while Redis is away commands fail at once as unavailable; after a restart on the same port they work again")
    func recovers() async throws {
        let port = freePort()
        let log = LogLines()
        let link = try await Link(port: port, logger: log.logger)
        #expect(await link.ping() == .failure(.unavailable))
        for _ in 0..<2 {
            let server = try await RedisServer(port: port)
            #expect(await eventually { await link.ping() == .success(.status("PONG")) })
            await server.kill()
            #expect(await eventually { try await !link.isUp() })
            #expect(await link.ping() == .failure(.unavailable))
        }
        #expect(link.preparations.withLock { $0 } == 2, "each connection is prepared once")
        let lines = log.all.withLock { $0 }
        let url = "redis=redis://127.0.0.1:\(port)/0"
        #expect(lines.filter { $0 == "notice connected to Redis again \(url)" }.count == 2)
        #expect(lines.filter { $0.hasPrefix("warning no connection to Redis reason=") && $0.hasSuffix(url) }.count == 3)
        #expect(lines.count == 5, "an outage is worth a line, and so is its end")
        try await link.stop()
    }

    @Test("a connection that can't be prepared is not used, and another is tried")
    func failedPreparation() async throws {
        let server = try await RedisServer()
        let link = try await Link(port: server.port)
        #expect(await eventually { try await link.isUp() })
        link.failsToPrepare.withLock { $0 = true }
        try await server.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        #expect(await eventually { link.preparations.withLock { $0 } >= 3 })
        #expect(await link.ping() == .failure(.unavailable))
        link.failsToPrepare.withLock { $0 = false }
        #expect(await eventually { await link.ping() == .success(.status("PONG")) })
        #expect(await RedisLinkTests.has(1, server), "those before are closed")
        try await link.stop()
    }

    @Test("a connection that is of no use is made and prepared anew")
    func reconnects() async throws {
        let server = try await RedisServer()
        let link = try await Link(port: server.port)
        #expect(await eventually { try await link.isUp() })
        try await link.reconnect()
        #expect(await eventually { await link.ping() == .success(.status("PONG")) })
        #expect(link.preparations.withLock { $0 } == 2)
        #expect(await RedisLinkTests.has(1, server), "the first is closed")
        try await link.stop()
    }

    @Test(
        "a Redis that has become a replica makes a connection useless; one without the function, or a refusal, does not"
    )
    func useless() async throws {
        let server = try await RedisServer()
        let client = try await Client(server.endpoint())
        func failure(_ words: String...) async throws -> RedisError? {
            do {
                _ = try await client.send(RESPCommand(words))
                return nil
            } catch { return error as? RedisError }
        }
        let missing = try await failure("FCALL", "sluice_tick", "1", "sluice:node:n", "0-0")
        #expect(missing?.lacksFunction == true && missing?.endsUse == false)
        try await client.install()
        #expect(try await failure("FCALL", "sluice_tick", "1", "sluice:node:n", "0-0") == nil)
        #expect(try await failure("FCALL", "sluice_tick", "1", "sluice:node:n", "x")?.endsUse == false)
        try await server.cli("REPLICAOF", "127.0.0.1", "1")
        #expect(try await failure("FCALL", "sluice_tick", "1", "sluice:node:n", "0-0")?.endsUse == true)
        #expect(!RedisError.unavailable.endsUse && !RedisError.lost("READONLY").endsUse)
    }

    @Test("of two that belong together the one that comes to another server sends the other to look again")
    func pairs() async throws {
        let server = try await RedisServer()
        let (first, second) = try await Link.pair(ports: server.port, server.port)
        #expect(await eventually { try await second.isUp() })
        #expect(try await first.isUp() && first.preparations.withLock { $0 } == 1, "one server is the same for both")
        for link in [first, second] { try await link.stop() }
        let other = try await RedisServer()
        let (left, right) = try await Link.pair(ports: server.port, other.port)
        #expect(await eventually { left.preparations.withLock { $0 } > 1 })
        for link in [left, right] { try await link.stop() }
    }

    @Test("once stopped it does not come back")
    func stop() async throws {
        let server = try await RedisServer()
        let link = try await Link(port: server.port)
        #expect(await eventually { try await link.isUp() })
        try await link.stop()
        #expect(await RedisLinkTests.has(0, server))
        #expect(link.preparations.withLock { $0 } == 1)
    }
}
