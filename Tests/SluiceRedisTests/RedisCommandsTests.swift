// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import SluiceRedis
import Synchronization
import TestSupport
import Testing

/// The command connection, held from outside of its event loop.
private final class Commands: Sendable {
    private let eventLoop = MultiThreadedEventLoopGroup.singleton.any()
    private let box: NIOLoopBoundBox<RedisCommands?>
    let preparations = Mutex(0)
    /// Lets the preparation of a connection fail.
    let failsToPrepare = Mutex(false)

    init(port: Int) async throws {
        let eventLoop = eventLoop
        box = NIOLoopBoundBox.makeEmptyBox(valueType: RedisCommands.self, eventLoop: eventLoop)
        let endpoint = try RedisEndpoint(url: RedisURL("redis://127.0.0.1:\(port)"), clientName: "commands-test")
        let box = box
        try await eventLoop.submit { [weak self] in
            let commands = RedisCommands(endpoint: endpoint, eventLoop: eventLoop, logger: quiet) { _ in
                self?.preparations.withLock { $0 += 1 }
                if self?.failsToPrepare.withLock({ $0 }) == true {
                    return eventLoop.makeFailedFuture(RedisError.refused("NOPERM"))
                }
                return eventLoop.makeSucceededVoidFuture()
            }
            box.value = commands
            commands.start()
        }.get()
    }

    func isConnected() async throws -> Bool {
        let box = box
        return try await eventLoop.submit { box.value?.isConnected ?? false }.get()
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
        try await eventLoop.submit { box.value?.reconnect() }.get()
    }

    func stop() async throws {
        let box = box
        try await eventLoop.submit {
            box.value?.stop()
            box.value = nil
        }.get()
    }
}

@Suite("RedisCommands against a real Redis")
struct RedisCommandsTests {
    @Test("while Redis is away commands fail at once as unavailable; after a restart on the same port they work again")
    func recovers() async throws {
        let port = freePort()
        let commands = try await Commands(port: port)
        #expect(await commands.ping() == .failure(.unavailable))
        for _ in 0..<2 {
            let server = try await RedisServer(port: port)
            #expect(await eventually { await commands.ping() == .success(.status("PONG")) })
            await server.kill()
            #expect(await eventually { try await !commands.isConnected() })
            #expect(await commands.ping() == .failure(.unavailable))
        }
        #expect(commands.preparations.withLock { $0 } == 2, "each connection is prepared once")
        try await commands.stop()
    }

    @Test("a connection that can't be prepared is not used, and another is tried")
    func failedPreparation() async throws {
        let server = try await RedisServer()
        let commands = try await Commands(port: server.port)
        #expect(await eventually { try await commands.isConnected() })
        commands.failsToPrepare.withLock { $0 = true }
        try await server.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        #expect(await eventually { commands.preparations.withLock { $0 } >= 3 })
        #expect(await commands.ping() == .failure(.unavailable))
        commands.failsToPrepare.withLock { $0 = false }
        #expect(await eventually { await commands.ping() == .success(.status("PONG")) })
        try await commands.stop()
    }

    @Test("a connection that is of no use is made and prepared anew")
    func reconnects() async throws {
        let server = try await RedisServer()
        let commands = try await Commands(port: server.port)
        #expect(await eventually { try await commands.isConnected() })
        try await commands.reconnect()
        #expect(await eventually { await commands.ping() == .success(.status("PONG")) })
        #expect(commands.preparations.withLock { $0 } == 2)
        try await commands.stop()
    }

    @Test(
        "a Redis without the function, or one that has become a replica, makes a connection useless; a refusal does not"
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
        #expect(try await failure("FCALL", "sluice_tick", "1", "sluice:node:n", "0-0")?.endsUse == true)
        try await client.install()
        #expect(try await failure("FCALL", "sluice_tick", "1", "sluice:node:n", "0-0") == nil)
        #expect(try await failure("FCALL", "sluice_tick", "1", "sluice:node:n", "x")?.endsUse == false)
        try await server.cli("REPLICAOF", "127.0.0.1", "1")
        #expect(try await failure("FCALL", "sluice_tick", "1", "sluice:node:n", "0-0")?.endsUse == true)
        #expect(!RedisError.unavailable.endsUse && !RedisError.lost("READONLY").endsUse)
    }

    @Test("once stopped it does not come back")
    func stop() async throws {
        let server = try await RedisServer()
        let commands = try await Commands(port: server.port)
        #expect(await eventually { try await commands.isConnected() })
        try await commands.stop()
        #expect(await eventually { try await !server.cli("CLIENT", "LIST").contains("name=commands-test") })
        #expect(commands.preparations.withLock { $0 } == 1)
    }
}
