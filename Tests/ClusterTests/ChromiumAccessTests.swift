// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension ClusterTests {
    /// A real Chromium, driven by Browser/access.py: pages elsewhere, with tokens in the query, as `EventSource` has it.
    @Suite("lets a browser's pages in, and out again")
    struct ChromiumAccessTests {
        private func run(_ scenario: String) async throws {
            let directory = try Repository.temporaryDirectory()
            defer { try? FileManager.default.removeItem(atPath: directory) }
            let secret = "\(directory)/secret"
            try UUID().uuidString.write(toFile: secret, atomically: true, encoding: .utf8)
            let redis = try await RedisServer()
            let pages = freePort()
            let node = try await NodeProcess(
                redis: redis,
                [
                    "--auth", "jwt", "--jwt-key", secret, "--jwt-leeway", "0s", "--origin", "http://localhost:\(pages)",
                    "--retry", "100ms", "--retry-spread", "100ms",
                ])
            let browser = try BrowserScript.start(
                "access", [scenario, redis.url, "http://127.0.0.1:\(node.port)", "\(pages)", secret])
            #expect(await browser.exitCode(within: 60) == 0, "\(browser.output)")
        }

        @Test(
            "A page of an origin on the list gets its events; one of another origin is refused for good, with the same token",
            .enabled(if: BrowserScript.isPossible, BrowserScript.missing), .timeLimit(.minutes(2)))
        func origins() async throws {
            try await run("origins")
        }

        @Test(
            "A stream ends with its token, and then 401 stops the EventSource",
            .enabled(if: BrowserScript.isPossible, BrowserScript.missing), .timeLimit(.minutes(2)))
        func expiry() async throws {
            try await run("expiry")
        }

        @Test(
            "A client that is disconnected comes back, unless it was told not to: then its EventSource stops",
            .enabled(if: BrowserScript.isPossible, BrowserScript.missing), .timeLimit(.minutes(2)))
        func disconnect() async throws {
            try await run("disconnect")
        }

        @Test(
            "The page is the client of the token in its address, and says why a stream is refused",
            .enabled(if: BrowserScript.isPossible, BrowserScript.missing), .timeLimit(.minutes(2)))
        func page() async throws {
            try await run("page")
        }
    }
}
