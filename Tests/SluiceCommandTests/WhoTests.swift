// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("sluice who and sluice nodes") struct WhoTests {
    private func run(_ arguments: String...) async throws -> (code: Int32?, output: String) {
        let command = try ChildProcess(Repository.binary, arguments)
        return (await command.exitCode(), command.output)
    }

    @Test(
        "They show who is there and how the nodes are, and by their exit code whether that is all",
        .timeLimit(.minutes(1)))
    func shows() async throws {
        let redis = try await RedisServer()
        let nodes = [
            try await NodeProcess(redis: redis, ["--node-id", "a"]),
            try await NodeProcess(redis: redis, ["--node-id", "b"]),
        ]
        let stream = try await EventStreamClient.opened(port: nodes[1].port, "/events?client=a%2Fb&topic=news")
        #expect(stream.now.isOpen)
        let (url, admin) = ("http://127.0.0.1:\(nodes[0].port)", "http://127.0.0.1:\(nodes[0].adminPort)")
        #expect(try await run("who", "--client", "a/b", "--url", url) == (0, "client:a/b streams=1\nb 1\n"))
        #expect(try await run("who", "--topic", "news", "--url", url) == (0, "topic:news streams=1\nb 1\n"))
        #expect(try await run("who", "--topic", "x", "--url", url) == (0, "topic:x streams=0\n"))
        let json = #"{"topic":"x","streams":0,"nodes":[],"complete":true}"#
        #expect(try await run("who", "--topic", "x", "--url", url, "--json") == (0, json + "\n"))
        let (code, output) = try await run("nodes", "--url", admin)
        let lines = output.split(separator: "\n")
        #expect(code == 0 && lines.count == 2)
        #expect(lines[0].hasPrefix("a streams=0 ready listen=127.0.0.1:\(nodes[0].port) version="), "\(output)")
        #expect(lines[1].hasPrefix("b streams=1 ready "))

        nodes[1].signal(SIGSTOP)
        defer { nodes[1].signal(SIGCONT) }
        let (incomplete, who) = try await run("who", "--client", "a/b", "--url", url)
        #expect(incomplete == 1 && who.contains("client:a/b streams=0\n") && who.contains("not every node"), "\(who)")
        let (sick, states) = try await run("nodes", "--url", admin)
        #expect(sick == 1 && states.contains("b streams=1 SILENT "), "\(states)")
    }

    @Test("What can't be asked is refused with the reason", .timeLimit(.minutes(1)))
    func refusals() async throws {
        for arguments in [
            ["who"], ["who", "--client", "a", "--topic", "b"], ["who", "--client", "a b"], ["nodes", "--url", "x"],
        ] {
            let command = try ChildProcess(Repository.binary, arguments)
            #expect(await command.exitCode() == 64, "\(command.output)")
        }
        let (code, output) = try await run("who", "--client", "a", "--url", "http://127.0.0.1:1")
        #expect(code == 1 && output.contains("127.0.0.1:1"), "\(output)")
    }
}
