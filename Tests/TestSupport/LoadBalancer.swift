// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The deployed configuration of a load balancer, in front of other nodes.
package final class LoadBalancer: Sendable {
    package enum Kind: String, CaseIterable, Sendable {
        case nginx
        case haproxy
    }

    private let process: ChildProcess
    private let directory: String
    package let port: Int

    package init(_ kind: Kind, nodePorts: [Int]) async throws {
        let port = freePort()
        self.port = port
        directory = try Repository.temporaryDirectory()
        var arguments = [kind.rawValue, "--listen", "127.0.0.1:\(port)", "--dir", directory]
        for node in nodePorts { arguments += ["--node", "127.0.0.1:\(node)"] }
        let render = try ChildProcess("\(Repository.root)/scripts/render-lb", arguments)
        guard await render.exitCode() == 0 else {
            throw ChildProcess.Failure(description: "render-lb failed: \(render.output)")
        }
        let path = "\(directory)/\(kind.rawValue).conf"
        try render.output.write(toFile: path, atomically: true, encoding: .utf8)
        process =
            switch kind {
            case .nginx: try ChildProcess("nginx", ["-e", "stderr", "-c", path])
            case .haproxy: try ChildProcess("haproxy", ["-db", "-f", path])
            }
        let process = process
        let answers = await eventually(within: 20) {
            guard process.isRunning else { return true }
            return try await request(port, "GET", "/healthz", within: 2).status == 200
        }
        guard answers, process.isRunning else {
            throw ChildProcess.Failure(description: "\(kind) does not answer: \(process.output)")
        }
    }

    deinit {
        // nginx' workers outlive a master that is killed; they go when it is asked.
        process.signal(SIGTERM)
        let end = Date().addingTimeInterval(2)
        while process.isRunning, Date() < end { usleep(10_000) }
        try? FileManager.default.removeItem(atPath: directory)
    }

    package var output: String { process.output }

    /// All that it has written: its output and the logs in its directory.
    package var logs: String {
        ["access.log", "error.log"].reduce(output) { text, name in
            text + ((try? String(contentsOfFile: "\(directory)/\(name)", encoding: .utf8)) ?? "")
        }
    }
}
