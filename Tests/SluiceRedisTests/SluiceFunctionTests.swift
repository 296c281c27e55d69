// SPDX-License-Identifier: Apache-2.0
import SluiceRedis
import TestSupport
import Testing

@Suite("SluiceFunction")
struct SluiceFunctionTests {
    @Test("which channels a user may have is told without trying, and so without a line in the ACL log")
    func maySubscribe() async throws {
        let bench = try await FunctionBench()
        let rule = ["ACL", "SETUSER", "n", "on", ">p", "~*", "resetchannels", "&sluice:topic:a*", "+@all"]
        _ = try await bench.client.send(RESPCommand(rule))
        let user = try await Client(try bench.server.endpoint(login: "n:p@"))
        let names = ["sluice:topic:a", "sluice:topic:b", "sluice:topic:a\u{e9} ", "other"]
        func permitted() async throws -> [String]? {
            try await user.send(RESPCommand(["FCALL", "sluice_may_subscribe", "0"] + names)).array?.compactMap(\.string)
        }
        #expect(try await permitted() == [names[0], names[2]])
        _ = try await bench.client.send("ACL", "SETUSER", "n", "&sluice:topic:b")
        #expect(try await permitted() == [names[0], names[1], names[2]])
        _ = try await bench.client.send("ACL", "SETUSER", "n", "-subscribe")
        #expect(try await permitted() == [])
        _ = try await bench.client.send("CONFIG", "SET", "maxmemory", "1")
        #expect(try await permitted() == [], "also when Redis is full")
        #expect(try await bench.client.send("ACL", "LOG") == .array([]))
    }

    /// A library of the same name that tells its version, and that it is not the real one.
    private static func library(version: Int64) -> String {
        """
        #!lua name=sluice
        redis.register_function('sluice_publish', function() return 'fake' end)
        redis.register_function{function_name='sluice_version', callback=function() return \(version) end, flags={'no-writes'}}
        """
    }

    private static func publish(_ client: Client) async throws -> RESPValue {
        try await client.send("FCALL", "sluice_publish", "1", "sluice:topic:a", "x")
    }

    @Test("the source names its version")
    func version() {
        #expect(SluiceFunction.version >= 1)
        #expect(SluiceFunction.source.hasPrefix("#!lua name=sluice\n"))
    }

    @Test("a fresh Redis gets the functions, once and again")
    func fresh() async throws {
        let server = try await RedisServer()
        let client = try await Client(try server.endpoint())
        for _ in 0..<2 {
            try await client.install()
            #expect(try await client.send("FCALL", "sluice_version", "0") == .integer(SluiceFunction.version))
            #expect(try await SluiceFunctionTests.publish(client).array?.count == 2)
        }
        let names = try await server.cli("FUNCTION", "LIST")
        for name in ["sluice_publish", "sluice_tick", "sluice_version"] { #expect(names.contains(name)) }
    }

    @Test("nodes that start together all succeed")
    func together() async throws {
        let server = try await RedisServer()
        let endpoint = try server.endpoint()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<8 { group.addTask { try await Client(endpoint).install() } }
            try await group.waitForAll()
        }
        let client = try await Client(endpoint)
        #expect(try await client.send("FCALL", "sluice_version", "0") == .integer(SluiceFunction.version))
    }

    @Test("an older one is replaced; one of the same version or a newer stays", arguments: [-1, 0, 1, 999] as [Int64])
    func replaces(_ difference: Int64) async throws {
        let server = try await RedisServer()
        let client = try await Client(try server.endpoint())
        let installed = SluiceFunction.version + difference
        _ = try await client.send("FUNCTION", "LOAD", SluiceFunctionTests.library(version: installed))
        try await client.install()
        let version = try await client.send("FCALL", "sluice_version", "0")
        let isFake = try await SluiceFunctionTests.publish(client) == .text("fake")
        if difference < 0 {
            #expect(version == .integer(SluiceFunction.version))
            #expect(!isFake)
        } else {
            #expect(version == .integer(installed))
            #expect(isFake)
        }
    }

    @Test("a user who may not load functions is told, unless they are there already")
    func noRights() async throws {
        let server = try await RedisServer()
        try await server.cli("ACL", "SETUSER", "node", "on", ">pw", "~*", "&*", "+@all", "-function")
        let user = try await Client(try server.endpoint(login: "node:pw@"))
        let error = await #expect(throws: RedisError.self) { try await user.install() }
        guard case .refused(let message) = try #require(error) else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(message.contains("NOPERM"))
        try await Client(try server.endpoint()).install()
        try await user.install()
    }
}
