// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOCore
import SluiceRedis
import TestSupport
import Testing

@Suite("RedisConnection against a real Redis")
struct RedisConnectionTests {
    private static func refusal(_ body: () async throws -> Void) async -> RedisError? {
        do {
            try await body()
            return nil
        } catch {
            return error as? RedisError
        }
    }

    @Test("a Redis that refuses the connection's name is used without it; one that refuses the login is not")
    func name() async throws {
        let server = try await RedisServer()
        try await server.cli("ACL", "SETUSER", "n", "on", ">p", "~*", "&*", "+@all", "-client")
        let client = try await Client(try server.endpoint(login: "n:p@"))
        #expect(try await client.send("ECHO", "x") == .text("x"))
        await #expect(throws: RedisError.self) { try await Client(try server.endpoint(login: "n:wrong@")) }
    }

    @Test("commands of one turn are answered in order, errors included, and binary data comes back as it went")
    func pipeline() async throws {
        let server = try await RedisServer()
        let client = try await Client(try server.endpoint())
        var commands: [RESPCommand] = []
        var expected: [RESPValue] = []
        for number in 0..<500 {
            commands.append(RESPCommand(["ECHO", "\(number)"]))
            expected.append(.text("\(number)"))
        }
        #expect(try await client.pipeline(commands) == expected)
        let bytes = ByteBuffer(bytes: (0...255).map { UInt8($0) })
        var command = RESPCommand(["SET", "key"])
        command.words.append(bytes)
        #expect(try await client.send(command) == .status("OK"))
        #expect(try await client.send("GET", "key") == .bulk(bytes))
        await #expect(throws: RedisError.refused("ERR unknown command 'NOSUCH', with args beginning with: ")) {
            try await client.send("NOSUCH")
        }
        #expect(try await client.send("GET", "none") == .null)
    }

    @Test("the connection shows its name in CLIENT LIST and uses the database of its URL")
    func nameAndDatabase() async throws {
        let server = try await RedisServer()
        let client = try await Client(try server.endpoint(database: 3, clientName: "sluice:node-7"))
        #expect(try await client.send("SET", "here", "1") == .status("OK"))
        #expect(try await server.cli("-n", "3", "GET", "here") == "1")
        #expect(try await server.cli("EXISTS", "here") == "0")
        let clients = try await server.cli("CLIENT", "LIST")
        #expect(clients.contains("name=sluice:node-7"))
        #expect(clients.contains("db=3"))
    }

    @Test("a password, or a user and a password, logs in")
    func login() async throws {
        let server = try await RedisServer()
        try await server.cli("ACL", "SETUSER", "node", "on", ">s3:cr@t", "~*", "&*", "+@all")
        try await server.cli("CONFIG", "SET", "requirepass", "pa ss")
        let byPassword = try await Client(try server.endpoint(login: ":pa%20ss@"))
        #expect(try await byPassword.send("ACL", "WHOAMI") == .text("default"))
        let byUser = try await Client(try server.endpoint(login: "node:s3%3Acr%40t@", database: 1))
        #expect(try await byUser.send("ACL", "WHOAMI") == .text("node"))
    }

    @Test(
        "a wrong or missing password fails in Redis' own words",
        arguments: [(":wrong@", "WRONGPASS"), ("nobody:secret@", "WRONGPASS"), ("", "NOAUTH")])
    func wrongPassword(_ login: String, _ words: String) async throws {
        let server = try await RedisServer()
        try await server.cli("CONFIG", "SET", "requirepass", "secret")
        let endpoint = try server.endpoint(login: login)
        let error = await RedisConnectionTests.refusal { _ = try await Client(endpoint) }
        guard case .refused(let message) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(message.hasPrefix(words))
        #expect(!message.contains("secret"))
    }

    @Test("a database that does not exist fails in Redis' own words")
    func wrongDatabase() async throws {
        let server = try await RedisServer()
        let endpoint = try server.endpoint(database: 99)
        let error = await RedisConnectionTests.refusal { _ = try await Client(endpoint) }
        #expect(error == .refused("ERR DB index is out of range"))
    }

    @Test("nobody at the port is an error, not a wait")
    func nobodyThere() async throws {
        let endpoint = try RedisEndpoint(url: RedisURL("redis://127.0.0.1:\(freePort())"), clientName: "x")
        await #expect(throws: (any Error).self) { _ = try await Client(endpoint) }
    }

    @Test("a server that stands still: the command fails as lost, and so does the connection")
    func timeout() async throws {
        let server = try await RedisServer()
        let client = try await Client(try server.endpoint())
        server.signal(SIGSTOP)
        defer { server.signal(SIGCONT) }
        let error = await RedisConnectionTests.refusal {
            _ = try await client.send(["PING"], timeout: .milliseconds(300))
        }
        #expect(error == .lost("no reply in time"))
        #expect(await eventually { client.closeReason == "no reply in time" })
        let second = await RedisConnectionTests.refusal { _ = try await client.send("PING") }
        #expect(second == .unavailable)
    }

    @Test("a reply that comes slowly is waited for as long as it comes", .timeLimit(.minutes(1)))
    func slowReply() async throws {
        let server = try await SlowReplies.bind("$13\r\nslow and sure\r\n", interval: .milliseconds(250))
        defer { server.close(promise: nil) }
        let port = try #require(server.localAddress?.port)
        let client = try await Client(RedisEndpoint(url: RedisURL("redis://127.0.0.1:\(port)"), clientName: "x"))
        // Longer than the whole timeout in all, but never for long without a byte.
        #expect(try await client.send(["GET", "key"], timeout: .seconds(3)) == .text("slow and sure"))
    }

    @Test("a server that accepts and says nothing: logging in fails in the end")
    func silentLogin() async throws {
        let server = try await RedisServer()
        let endpoint = try server.endpoint()
        server.signal(SIGSTOP)
        defer { server.signal(SIGCONT) }
        let error = await RedisConnectionTests.refusal { _ = try await Client(endpoint) }
        #expect(error == .lost("no reply in time"))
    }

    @Test("a slow command in front holds those behind it up, and all are answered in order")
    func slowCommand() async throws {
        let server = try await RedisServer()
        let client = try await Client(try server.endpoint())
        let replies = try await client.pipeline([["BLPOP", "none", "0.2"], ["PING"]].map { RESPCommand($0) })
        #expect(replies == [.null, .status("PONG")])
    }

    @Test("when Redis dies, what waits fails as lost, later commands as unavailable, and the reason is told once")
    func serverDies() async throws {
        let server = try await RedisServer()
        let client = try await Client(try server.endpoint())
        async let waiting = RedisConnectionTests.refusal { _ = try await client.send("BLPOP", "never", "0") }
        #expect(await eventually { try await server.cli("CLIENT", "LIST").contains("cmd=blpop") })
        await server.kill()
        guard case .lost = await waiting else {
            Issue.record("the command did not fail as lost")
            return
        }
        #expect(await RedisConnectionTests.refusal { _ = try await client.send("PING") } == .unavailable)
        #expect(client.closeReason != nil)
    }

    @Test("a connection that is closed here fails what waits and says who closed it")
    func closedHere() async throws {
        let server = try await RedisServer()
        let client = try await Client(try server.endpoint())
        try await client.close()
        #expect(client.closeReason == "closed by this node")
        #expect(await RedisConnectionTests.refusal { _ = try await client.send("PING") } == .unavailable)
        #expect(await eventually { try await !server.cli("CLIENT", "LIST").contains("name=sluice-test") })
    }
}
