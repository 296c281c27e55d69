// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension ClusterTests {
    /// The gateway's own page, driven by Browser/page.py.
    @Suite("serves browsers")
    struct BrowserTests {
        /// Each engine, and each load balancer.
        private static let places: [(BrowserScript.Engine, LoadBalancer.Kind)] = [
            (.chromium, .nginx), (.chromium, .haproxy), (.firefox, .nginx), (.webkit, .haproxy),
        ]

        private func start(
            _ scenario: String, _ engine: BrowserScript.Engine, _ cluster: Cluster
        ) throws -> ChildProcess {
            try BrowserScript.start(
                "page", engine,
                [scenario, "http://127.0.0.1:\(cluster.port)"]
                    + cluster.nodes.map { "http://127.0.0.1:\($0.port)" })
        }

        @Test(
            "The page shows what is pushed to it, to a topic and to everybody, as text",
            .enabled(if: BrowserScript.isPossible, BrowserScript.missing),
            .timeLimit(.minutes(3)), arguments: places)
        func page(engine: BrowserScript.Engine, kind: LoadBalancer.Kind) async throws {
            let cluster = try await Cluster.start(kind)
            let browser = try start("page", engine, cluster)
            #expect(await browser.exitCode(within: 150) == 0, "\(browser.output)")
            // It lives as long as it is named.
            withExtendedLifetime(cluster) {}
        }

        @Test(
            "A page's EventSource comes back through the load balancer when its node dies",
            .enabled(if: BrowserScript.isPossible, BrowserScript.missing),
            .timeLimit(.minutes(3)), arguments: places)
        func reconnect(engine: BrowserScript.Engine, kind: LoadBalancer.Kind) async throws {
            let cluster = try await Cluster.start(kind, ["--retry", "500ms", "--retry-spread", "500ms"])
            let browser = try start("reconnect", engine, cluster)
            let isOpen = await eventually(within: 60) { browser.output.hasPrefix("open\n") || !browser.isRunning }
            #expect(isOpen)
            for node in cluster.nodes where try await node.metric("streams") > 0 { await node.kill() }
            #expect(await browser.exitCode(within: 150) == 0, "\(browser.output)")
        }
    }
}
