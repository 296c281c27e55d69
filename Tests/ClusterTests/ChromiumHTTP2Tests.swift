// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

extension ClusterTests {
    /// A real Chromium, driven by Browser/http2.py, at one node with TLS.
    @Suite("opens many streams for a page")
    struct ChromiumHTTP2Tests {
        private func run(_ scenario: String) async throws {
            let redis = try await RedisServer()
            let certificate = try await TestCertificate()
            // A small ring: what the reader that is stalled has to catch up with is soon only in the log.
            let node = try await NodeProcess(redis: redis, certificate.settings + ["--ring", "4MiB", "--stall", "60s"])
            let browser = try BrowserScript.start(
                "http2", [scenario, redis.url, "https://localhost:\(node.port)", "http://127.0.0.1:\(node.adminPort)"])
            #expect(await browser.exitCode(within: 100) == 0, "\(browser.output)")
            print(browser.output, terminator: "")
        }

        @Test(
            "Over HTTP/2 all of 100 EventSources are open and get every event, also while another stream of their connection is not read",
            .enabled(if: BrowserScript.isPossible, BrowserScript.missing), .timeLimit(.minutes(2)))
        func hundred() async throws {
            try await run("hundred")
        }

        @Test(
            "Over HTTP/1.1 six of 100 EventSources are open and the others wait, which is the browser's limit",
            .enabled(if: BrowserScript.isPossible, BrowserScript.missing), .timeLimit(.minutes(2)))
        func six() async throws {
            try await run("six")
        }
    }
}
