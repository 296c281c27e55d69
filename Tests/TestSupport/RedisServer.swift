// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A `redis-server` of the test's own, without any file of its own unless asked for.
package final class RedisServer: Sendable {
    package let port: Int
    private let process: ChildProcess
    /// Of its own, because a replica leaves the file there that it was sent, and the next server would begin with it.
    private let ownDirectory: String?

    /// - Parameters:
    ///   - directory: where an append-only file is kept, so that a restart finds the data; nil: nothing is kept.
    package init(port: Int = freePort(), directory: String? = nil, arguments: [String] = []) async throws {
        self.port = port
        let home = directory ?? NSTemporaryDirectory() + "sluice-redis-\(UUID().uuidString)"
        ownDirectory = directory == nil ? home : nil
        try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
        let persistence =
            directory == nil
            // A replica writes what its master sends to a file, which must not be what another server starts with.
            ? ["--appendonly", "no", "--dbfilename", "sluice-test-\(port).rdb", "--rdb-del-sync-files", "yes"]
            : ["--appendonly", "yes", "--appendfsync", "always"]
        process = try ChildProcess(
            "redis-server",
            ["--port", "\(port)", "--bind", "127.0.0.1", "--save", "", "--dir", home] + persistence
                + arguments)
        let hasAnswered = await eventually(within: 60) {
            if !self.isRunning { return true }
            return try await self.cli("PING").contains("PONG")
        }
        guard hasAnswered, isRunning else {
            throw ChildProcess.Failure(description: "redis-server does not answer: \(process.output)")
        }
    }

    deinit {
        if let ownDirectory { try? FileManager.default.removeItem(atPath: ownDirectory) }
    }

    package var url: String { "redis://127.0.0.1:\(port)" }

    package var processID: Int32 { process.id }

    package var isRunning: Bool { process.isRunning }

    package func kill() async {
        process.signal(SIGKILL)
        _ = await process.exitCode()
    }

    package func signal(_ signal: Int32) {
        process.signal(signal)
    }

    /// Runs `redis-cli` and returns what it prints.
    @discardableResult
    package func cli(_ arguments: String...) async throws -> String {
        let cli = try ChildProcess("redis-cli", ["-p", "\(port)"] + arguments)
        _ = await cli.exitCode()
        return cli.output.trimmingCharacters(in: .newlines)
    }
}
