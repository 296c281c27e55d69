// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A node as it runs in production: `sluice serve` in a process of its own, on ports of its own choice.
package final class NodeProcess: Sendable {
    private let process: ChildProcess
    package let port: Int
    package let adminPort: Int
    package let id: String

    /// - Parameters:
    ///   - arguments: beside the two listeners, which take any free port unless they are named here.
    ///   - wrapper: a command that runs the node, as `prlimit --nofile=64`.
    package init(
        redis: RedisServer? = nil, _ arguments: [String] = [], environment: [String: String] = [:],
        wrapper: [String] = []
    ) async throws {
        var words = wrapper + [Repository.binary, "serve"] + arguments
        if !arguments.contains("--listen") { words += ["--listen", "127.0.0.1:0"] }
        if !arguments.contains("--admin-listen") { words += ["--admin-listen", "127.0.0.1:0"] }
        if let redis { words += ["--redis", redis.url] }
        let process = try ChildProcess(words[0], Array(words.dropFirst()), environment: environment)
        self.process = process
        let isReady = await eventually(within: 30) {
            process.output.contains(/sluice ready .*\n/) || !process.isRunning
        }
        guard isReady, let line = process.output.firstMatch(of: /sluice ready (.*)\n/) else {
            throw ChildProcess.Failure(description: "the node is not ready: \(process.output)")
        }
        var values: [Substring: Substring] = [:]
        for word in line.1.split(separator: " ") {
            let parts = word.split(separator: "=", maxSplits: 1)
            if parts.count == 2 { values[parts[0]] = parts[1] }
        }
        port = NodeProcess.port(values["listen"])
        adminPort = NodeProcess.port(values["admin"])
        id = String(values["node"] ?? "")
    }

    private static func port(_ address: Substring?) -> Int {
        address?.split(separator: ":").last.flatMap { Int($0) } ?? 0
    }

    package var processID: Int32 { process.id }
    package var isRunning: Bool { process.isRunning }
    /// Standard output and error.
    package var output: String { process.output }

    package func signal(_ signal: Int32) {
        process.signal(signal)
    }

    package func exitCode(within seconds: Double = 20) async -> Int32? {
        await process.exitCode(within: seconds)
    }

    package func kill() async {
        process.signal(SIGKILL)
        _ = await process.exitCode()
    }

    /// How many sockets the node has open. Not all descriptors: the runtime opens some of its own when it likes.
    package var sockets: Int {
        let directory = "/proc/\(processID)/fd"
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: directory) else { return -1 }
        return names.count { name in
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "\(directory)/\(name)"))?
                .hasPrefix("socket:") == true
        }
    }

    /// Resident memory in bytes; 0 under a sanitizer.
    package var memory: Int {
        guard !Sanitizer.isOn else { return 0 }
        guard let text = try? String(contentsOfFile: "/proc/\(processID)/statm", encoding: .utf8) else { return -1 }
        let words = text.split(separator: " ")
        return words.count > 1 ? (Int(words[1]) ?? -1) * 4096 : -1
    }

    /// One of the numbers of the admin listener's `/metrics`, its name without the prefix: over all labels if it names none;
    /// -1 if it is not there.
    package func metric(_ name: String) async throws -> Int {
        let answer = try await request(adminPort, "GET", "/metrics")
        return NodeProcess.metric(name, in: answer.text)
    }

    package static func metric(_ name: String, in text: String) -> Int {
        let lines = text.split(separator: "\n").filter {
            $0.hasPrefix("sluice_\(name) ") || $0.hasPrefix("sluice_\(name){")
        }
        let numbers = lines.map { Int($0.split(separator: " ")[1]) ?? -1 }
        return numbers.isEmpty ? -1 : numbers.reduce(0, +)
    }
}
