// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport

/// A node with `--auth jwt`, as one would put it on the internet: it knows the key of ``Visitor``'s tokens.
final class GuardedNode: Sendable {
    let node: NodeProcess
    private let directory: String

    /// - Parameter anonymous: the topics that need no token.
    init(redis: RedisServer? = nil, anonymous: String? = "public.*", _ arguments: [String] = []) async throws {
        directory = try Repository.temporaryDirectory()
        let key = "\(directory)/key"
        try Visitor.secret.write(toFile: key, atomically: true, encoding: .utf8)
        node = try await NodeProcess(
            redis: redis,
            [
                "--auth", "jwt", "--jwt-key", key, "--jwt-audience", Visitor.audience, "--jwt-issuer", Visitor.issuer,
            ] + (anonymous.map { ["--anonymous", $0] } ?? []) + arguments)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: directory)
    }

    var port: Int { node.port }

    static func bearer(_ token: String?) -> [String: String] {
        token.map { ["Authorization": "Bearer \($0)"] } ?? [:]
    }

    func stream(_ target: String, _ token: String?) async throws -> EventStreamClient {
        var options = EventStreamClient.Options()
        options.headers = GuardedNode.bearer(token)
        return try await EventStreamClient.opened(port: port, target, options: options)
    }

    func publish(_ json: String, _ token: String?) async throws -> HTTPAnswer {
        try await request(
            port, "POST", "/publish",
            headers: GuardedNode.bearer(token).merging(["Content-Type": "application/json"]) { $1 },
            body: Array(json.utf8))
    }
}
