// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension ClusterTests {
    /// The pages of a node in a real Chromium, driven by Browser/dashboard.py.
    @Suite("shows its operator how it is")
    struct ChromiumPageTests {
        private func start(_ scenario: String, _ node: NodeProcess) throws -> ChildProcess {
            try BrowserScript.start(
                "dashboard", [scenario, "http://127.0.0.1:\(node.adminPort)", "http://127.0.0.1:\(node.port)"])
        }

        @Test(
            "The dashboard reads metrics, estimates quantiles and says what is wrong as it should",
            .enabled(if: BrowserScript.isPossible, BrowserScript.missing), .timeLimit(.minutes(2)))
        func functions() async throws {
            let node = try await NodeProcess()
            let browser = try start("functions", node)
            #expect(await browser.exitCode(within: 60) == 0, "\(browser.output)")
        }

        @Test(
            "The dashboard says which of three nodes is sick and why, on a phone, without a violation of its policy",
            .enabled(if: BrowserScript.isPossible, BrowserScript.missing), .timeLimit(.minutes(2)))
        func deployment() async throws {
            let node = try await NodeProcess()
            let browser = try start("deployment", node)
            #expect(await browser.exitCode(within: 60) == 0, "\(browser.output)")
        }

        @Test(
            "The dashboard of a node that hangs says so, and goes on when the node does",
            .enabled(if: BrowserScript.isPossible, BrowserScript.missing), .timeLimit(.minutes(2)))
        func away() async throws {
            let node = try await NodeProcess()
            let browser = try start("away", node)
            let isFine = await eventually(within: 30) { browser.output.contains("fine\n") || !browser.isRunning }
            #expect(isFine)
            node.signal(SIGSTOP)
            let isAway = await eventually(within: 30) { browser.output.contains("away\n") || !browser.isRunning }
            node.signal(SIGCONT)
            #expect(isAway)
            #expect(await browser.exitCode(within: 60) == 0, "\(browser.output)")
        }

        @Test(
            "On a phone the page shows the events first, one line each, and all that is touched is 44 px high",
            .enabled(if: BrowserScript.isPossible, BrowserScript.missing), .timeLimit(.minutes(2)))
        func phone() async throws {
            let node = try await NodeProcess()
            let browser = try start("phone", node)
            #expect(await browser.exitCode(within: 60) == 0, "\(browser.output)")
        }
    }
}
