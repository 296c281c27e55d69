// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

extension ClusterTests {
    /// The pages of deploy/examples, as the article Recipes.md shows them.
    @Suite("shows its examples in browsers")
    struct BrowserExampleTests {
        private func run(_ script: String, _ engine: BrowserScript.Engine) async throws {
            let redis = try await RedisServer()
            let node = try await NodeProcess(redis: redis, ["--retry", "200ms", "--retry-spread", "300ms"])
            let browser = try BrowserScript.start(script, engine, [redis.url, "http://127.0.0.1:\(node.port)"])
            #expect(await browser.exitCode(within: 100) == 0, "\(browser.output)")
            print(browser.output, terminator: "")
            withExtendedLifetime(node) {}
        }

        @Test(
            "Tokens: a page that is reloaded half-way shows the answer once and stops by itself; one without the beginning says so",
            .enabled(if: BrowserScript.isPossible, BrowserScript.missing), .timeLimit(.minutes(2)),
            arguments: BrowserScript.Engine.allCases)
        func tokens(engine: BrowserScript.Engine) async throws {
            try await run("tokens", engine)
        }

        @Test(
            "Prices: the table is complete at once, from one event a row, and follows the changes over a lost connection",
            .enabled(if: BrowserScript.isPossible, BrowserScript.missing), .timeLimit(.minutes(2)),
            arguments: BrowserScript.Engine.allCases)
        func prices(engine: BrowserScript.Engine) async throws {
            try await run("snapshot", engine)
        }
    }
}
