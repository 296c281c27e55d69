// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

extension ClusterTests {
    @Suite("ends streams that are finite")
    struct FiniteStreamBrowserTests {
        @Test(
            "The README's tokens: a page that is reloaded half-way shows the answer once, and stops by itself",
            .enabled(if: BrowserScript.isPossible, BrowserScript.missing), .timeLimit(.minutes(2)))
        func tokens() async throws {
            let redis = try await RedisServer()
            let node = try await NodeProcess(redis: redis, ["--retry", "200ms", "--retry-spread", "300ms"])
            let browser = try BrowserScript.start("tokens", [redis.url, "http://127.0.0.1:\(node.port)"])
            #expect(await browser.exitCode(within: 100) == 0, "\(browser.output)")
        }
    }
}
