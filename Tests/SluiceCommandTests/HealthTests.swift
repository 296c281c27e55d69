// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("sluice health") struct HealthTests {
    private func run(_ arguments: [String]) async throws -> (code: Int32?, output: String) {
        let command = try ChildProcess(Repository.binary, ["health"] + arguments)
        return (await command.exitCode(), command.output)
    }

    @Test("It says what a node says of itself, and its exit code whether that is good", .timeLimit(.minutes(1)))
    func answers() async throws {
        let redis = freePort()
        let node = try await NodeProcess(["--redis", "redis://127.0.0.1:\(redis)"])
        for port in [node.port, node.adminPort] {
            #expect(try await run(["http://127.0.0.1:\(port)/healthz"]) == (0, "ok\n"))
            let (code, output) = try await run(["http://127.0.0.1:\(port)/readyz"])
            #expect(code == 1)
            #expect(output == "Error: http://127.0.0.1:\(port)/readyz: 503, not ready: no feed from the broker\n")
        }
    }

    @Test("Nobody, or somebody who says nothing, is not healthy", .timeLimit(.minutes(1)))
    func silence() async throws {
        let (code, output) = try await run(["http://127.0.0.1:\(freePort())/healthz"])
        #expect(code == 1 && output.contains("connection refused"), "\(output)")
        let node = try await NodeProcess()
        node.signal(SIGSTOP)
        let silent = try await run(["--timeout", "200ms", "http://127.0.0.1:\(node.port)/healthz"])
        #expect(silent.code == 1 && silent.output.contains("no answer in time"), "\(silent.output)")
        #expect(try await run(["nonsense"]).code == 64)
    }
}
