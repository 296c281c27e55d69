// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension ClusterTests {
    /// Browser/articles.py: what was written for a server of an article works at this one as it is.
    @Suite("serves the pages of articles")
    struct ArticleTests {
        private static let comeBackSoon = ["--retry", "200ms", "--retry-spread", "300ms"]

        @Test(
            "Broadcasts at /events and /sse, an answer in steps, and a push from another tab to one client",
            .enabled(if: BrowserScript.isPossible, BrowserScript.missing), .timeLimit(.minutes(2)),
            arguments: BrowserScript.Engine.allCases)
        func pages(engine: BrowserScript.Engine) async throws {
            let cluster = try await Cluster.start(.nginx, ArticleTests.comeBackSoon)
            let browser = try BrowserScript.start(
                "articles", engine, [cluster.redis.url, "http://127.0.0.1:\(cluster.port)"])
            #expect(await browser.exitCode(within: 90) == 0, "\(browser.output)")
            withExtendedLifetime(cluster) {}
        }

        @Test(
            "A user's /stream with a token in its query: four types of events, with ids, none lost when the connection breaks",
            .enabled(if: BrowserScript.isPossible, BrowserScript.missing), .timeLimit(.minutes(2)),
            arguments: BrowserScript.Engine.allCases)
        func user(engine: BrowserScript.Engine) async throws {
            let directory = try Repository.temporaryDirectory()
            defer { try? FileManager.default.removeItem(atPath: directory) }
            let secret = "\(directory)/secret"
            try UUID().uuidString.write(toFile: secret, atomically: true, encoding: .utf8)
            let cluster = try await Cluster.start(
                .nginx, ArticleTests.comeBackSoon + ["--auth", "jwt", "--jwt-key", secret])
            let browser = try BrowserScript.start(
                "articles", engine, [cluster.redis.url, "http://127.0.0.1:\(cluster.port)", secret])
            #expect(await browser.exitCode(within: 90) == 0, "\(browser.output)")
            withExtendedLifetime(cluster) {}
        }
    }
}
