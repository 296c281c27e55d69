// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import SluiceRedis
import TestSupport
import Testing

@Suite("What sluice_publish and sluice_tick refuse leaves nothing behind")
struct SluiceRefusalTests {
    private static let long = String(repeating: "x", count: 256)

    private static let badKeys = [
        "", "x", "sluice", "sluice:", "sluice:topic", "sluice:topic:", "sluice:client:", "sluice:all:", "sluice:al",
        ":all", ":topic:x",
        "sluice:node:x", "sluice:clock", "sluice:Topic:x", "sluice:topic:a b", "sluice:topic:a\n",
        "sluice:topic:\u{7F}", "sluice:topic:{x}",
        "sluice:topic:a}", "sluice:topic:\(long)", "sluice:client:\(String(repeating: "😀", count: 64))",
    ]

    private static let badOptions: [[String]] = [
        ["event"], ["event", "a", "key"], ["nonsense", "1"], ["EVENT", "a"], ["", ""], ["event", ""], ["key", ""],
        ["once", ""],
        ["event", "checkpoint"], ["event", "gap"], ["event", "pause"], ["event", "error"], ["event", "open"],
        ["event", "a\nb"],
        ["event", "a\rb"], ["event", "a\0b"], ["event", "\u{85}"], ["event", String(long.prefix(129))],
        ["key", "a\nb"],
        ["key", String(long.prefix(129))], ["once", "a\nb"], ["once", String(long.prefix(129))], ["end", "2"],
        ["end", "true"], ["end", ""],
        ["log", "no"], ["log", ""], ["maxlen", "0"], ["maxlen", "-1"], ["maxlen", "1000001"], ["maxlen", "1.5"],
        ["maxlen", "1e3"],
        ["maxlen", " 1"], ["maxlen", ""], ["maxlen", "0x10"], ["maxlen", "99999999999999999999"], ["ttl", "0"],
        ["ttl", "604801"],
        ["ttl", "-5"], ["ttl", "1h"], ["ttl", "inf"], ["ttl", "nan"], ["end", "1", "log", "0"],
        ["event", "fine", "ttl", "0"],
    ]

    /// A Redis that holds something already, so that a refusal could also change what is there.
    private static func bench() async throws -> FunctionBench {
        let bench = try await FunctionBench()
        try await bench.publish("sluice:topic:a", "x", "ttl", "60", "once", "token")
        try await bench.publish("sluice:all")
        return bench
    }

    @Test("each bad key is refused as one")
    func keys() async throws {
        let bench = try await SluiceRefusalTests.bench()
        let before = try await bench.snapshot()
        for key in SluiceRefusalTests.badKeys {
            let refusal = await bench.refusal(nil, ["FCALL", "sluice_publish", "1", key, "x"])
            #expect(refusal?.hasPrefix("SLUICE bad key") == true, "\(key.debugDescription): \(refusal ?? "taken")")
        }
        #expect(try await bench.snapshot() == before)
    }

    @Test("each bad option is refused")
    func options() async throws {
        let bench = try await SluiceRefusalTests.bench()
        let feed = try await FeedProbe(try bench.server.endpoint())
        #expect(try await feed.listen(to: "sluice:topic:a"))
        let before = try await bench.snapshot()
        for options in SluiceRefusalTests.badOptions {
            let refusal = await bench.refusal(nil, ["FCALL", "sluice_publish", "1", "sluice:topic:a", "x"] + options)
            #expect(refusal?.hasPrefix("SLUICE ") == true, "\(options): \(refusal ?? "taken")")
        }
        #expect(try await bench.snapshot() == before)
        // Anything published before would have arrived before this.
        try await bench.publish("sluice:topic:a", "marker", "log", "0")
        #expect(await eventually { !feed.messages.isEmpty })
        #expect(feed.messages.count == 1)
        try await feed.stop()
    }

    @Test("a wrong number of keys, no data, too much data and labels that are not UTF-8 are refused")
    func shape() async throws {
        let bench = try await SluiceRefusalTests.bench()
        let before = try await bench.snapshot()
        let big = String(repeating: "x", count: 1_048_577)
        for words in [
            ["0"], ["0", "x"], ["1", "sluice:topic:a"], ["2", "sluice:topic:a", "sluice:topic:b", "x"],
            ["1", "sluice:topic:a", big],
        ] {
            let refusal = await bench.refusal(nil, ["FCALL", "sluice_publish"] + words)
            #expect(refusal?.hasPrefix("SLUICE ") == true, "\(words.map { $0.prefix(20) }): \(refusal ?? "taken")")
        }
        for name in ["event", "key", "once"] {
            var command = RESPCommand(["FCALL", "sluice_publish", "1", "sluice:topic:a", "x", name])
            command.words.append(.init(bytes: [0x61, 0xC3]))
            let sent = command
            await #expect(throws: RedisError.refused("SLUICE \(name) is not UTF-8")) {
                try await bench.client.send(sent)
            }
        }
        var command: RESPCommand = ["FCALL", "sluice_publish", "1"]
        command.words.append(.init(bytes: Array("sluice:topic:".utf8) + [0xED, 0xA0, 0x80]))
        command.append("x")
        let sent = command
        await #expect(throws: RedisError.self) { try await bench.client.send(sent) }
        #expect(try await bench.snapshot() == before)
    }

    @Test("the function and the gateway agree on every name: white space, control characters, braces, lengths")
    func namesAgree() async throws {
        let bench = try await FunctionBench()
        let borders: [UInt32] = [
            0x00AD, 0x0660, 0x180E, 0x200B, 0x2010, 0x202A, 0x2060, 0x3001, 0xFEFF, 0xE000, 0xFFFD, 0x1F600, 0x10FFFF,
        ]
        let scalars = (Array(0...0xA1) + [0x1680, 0x205F, 0x3000] + Array(0x1FFF...0x2030) + borders).compactMap(
            Unicode.Scalar.init)
        for scalar in scalars {
            var name = "a"
            name.unicodeScalars.append(scalar)
            let isLegal = (try? Target.topic(name)) != nil
            let refusal = await bench.refusal(
                nil, ["FCALL", "sluice_publish", "1", "sluice:topic:\(name)", "x", "log", "0"])
            #expect((refusal == nil) == isLegal, "U+\(String(scalar.value, radix: 16)): \(refusal ?? "taken")")
            let label = await bench.refusal(
                nil, ["FCALL", "sluice_publish", "1", "sluice:all", "x", "log", "0", "event", name])
            #expect((label == nil) == (EventLabel.problem(type: name) == nil), "U+\(String(scalar.value, radix: 16))")
        }
        for length in [1, 255, 256] {
            let refusal = await bench.refusal(
                nil,
                [
                    "FCALL", "sluice_publish", "1", "sluice:client:" + String(repeating: "n", count: length), "x",
                    "log", "0",
                ])
            #expect((refusal == nil) == (length < 256))
        }
    }

    @Test(
        "a key of the wrong type is refused, whichever of the four it is",
        arguments: ["sluice:topic:x", "sluice:last:topic:x", "sluice:clock", "sluice:once:topic:x t"])
    func wrongType(_ key: String) async throws {
        let bench = try await SluiceRefusalTests.bench()
        _ = try await bench.client.send("DEL", key)
        _ = try await bench.client.send("SADD", key, "member")
        let before = try await bench.snapshot()
        let refusal = await bench.refusal(nil, ["FCALL", "sluice_publish", "1", "sluice:topic:x", "x", "once", "t"])
        #expect(refusal?.contains("WRONGTYPE") == true)
        #expect(try await bench.snapshot() == before)
    }

    @Test(
        "a user who lacks one inner command is refused",
        arguments: ["publish", "xadd", "set", "hset", "pexpire", "get", "hmget", "pttl", "time"])
    func missingCommand(_ command: String) async throws {
        let bench = try await SluiceRefusalTests.bench()
        _ = try await bench.server.cli(
            "ACL", "SETUSER", "p", "on", ">pw", "~sluice:*", "&sluice:*", "+@all", "-\(command)")
        let user = try await Client(try bench.server.endpoint(login: "p:pw@"))
        let before = try await bench.snapshot()
        let publish = ["FCALL", "sluice_publish", "1", "sluice:topic:a", "x", "once", "other"]
        let refusal = await bench.refusal(user, publish)
        #expect(refusal != nil)
        #expect(try await bench.snapshot() == before)
        _ = try await bench.server.cli("ACL", "SETUSER", "p", "+\(command)")
        #expect(await bench.refusal(user, publish) == nil, "with the right it is taken")
    }

    @Test(
        "a user who may not touch one of the keys, or the channel, is refused",
        arguments: [
            ["~sluice:topic:*", "~sluice:last:*", "~sluice:clock", "~sluice:once:*", "&other:*"],
            ["~sluice:topic:*", "~sluice:clock", "~sluice:once:*", "&sluice:*"],
            ["~sluice:topic:*", "~sluice:last:*", "~sluice:once:*", "&sluice:*"],
            ["~sluice:topic:*", "~sluice:last:*", "~sluice:clock", "&sluice:*"],
            ["~sluice:last:*", "~sluice:clock", "~sluice:once:*", "&sluice:*"],
        ])
    func missingKey(_ patterns: [String]) async throws {
        let bench = try await SluiceRefusalTests.bench()
        let rule = ["ACL", "SETUSER", "p", "on", ">pw", "+@all"] + patterns
        _ = try await bench.client.send(RESPCommand(rule))
        let user = try await Client(try bench.server.endpoint(login: "p:pw@"))
        let before = try await bench.snapshot()
        let refusal = await bench.refusal(
            user, ["FCALL", "sluice_publish", "1", "sluice:topic:a", "x", "once", "other"])
        #expect(refusal != nil)
        #expect(try await bench.snapshot() == before)
    }

    @Test("a user with exactly the inner commands, on the names of Sluice, may publish")
    func leastRights() async throws {
        let bench = try await FunctionBench()
        let rule =
            ["ACL", "SETUSER", "p", "on", ">pw", "~sluice:*", "&sluice:*", "-@all"]
            + ["fcall", "xadd", "publish", "set", "get", "hset", "hmget", "pexpire", "pttl", "time", "client|setname"]
            .map { "+\($0)" }
        _ = try await bench.client.send(RESPCommand(rule))
        let user = try await Client(try bench.server.endpoint(login: "p:pw@"))
        let refusal = await bench.refusal(
            user, ["FCALL", "sluice_publish", "1", "sluice:topic:a", "x", "once", "t", "end", "1"])
        #expect(refusal == nil)
        #expect(try await bench.integer("XLEN", "sluice:topic:a") == 1)
    }

    @Test("a bad tick is refused and writes nothing")
    func badTicks() async throws {
        let bench = try await SluiceRefusalTests.bench()
        let before = try await bench.snapshot()
        for words in [
            ["0"], ["0", "5-0"], ["1", "sluice:topic:a", "5-0"], ["1", "sluice:node:", "5-0"], ["1", ":node:a", "5-0"],
            ["1", "node:a", "5-0"],
            ["1", "sluice:node:a"], ["1", "sluice:node:a", ""], ["1", "sluice:node:a", "x"],
            ["1", "sluice:node:a", "5"],
            ["1", "sluice:node:a", "-"], ["1", "sluice:node:a", "5-0", "field"],
            ["1", "sluice:node:a", "9999999999999999-0"],
        ] {
            let refusal = await bench.refusal(nil, ["FCALL", "sluice_tick"] + words)
            #expect(refusal?.hasPrefix("SLUICE ") == true, "\(words): \(refusal ?? "taken")")
        }
        #expect(try await bench.snapshot() == before)
    }
}
