// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension ClusterTests {
    /// A real Chromium, driven by Browser/page.py.
    @Suite("serves browsers")
    struct BrowserTests {
        private func run(_ scenario: String, _ cluster: Cluster) async throws {
            let browser = try BrowserScript.start(
                "page",
                [scenario, "http://127.0.0.1:\(cluster.port)"]
                    + cluster.nodes.map { "http://127.0.0.1:\($0.port)" })
            #expect(await browser.exitCode(within: 150) == 0, "\(browser.output)")
        }

        @Test(
            "The page shows what is pushed to it, to a topic and to everybody, as text",
            .enabled(if: BrowserScript.isPossible, BrowserScript.missing),
            .timeLimit(.minutes(3)), arguments: LoadBalancer.Kind.allCases)
        func page(kind: LoadBalancer.Kind) async throws {
            try await run("page", try await Cluster.start(kind))
        }

        @Test(
            "The articles' pages: of two tabs only the one that is named shows the message of a third",
            .enabled(if: BrowserScript.isPossible, BrowserScript.missing),
            .timeLimit(.minutes(3)), arguments: LoadBalancer.Kind.allCases)
        func articles(kind: LoadBalancer.Kind) async throws {
            try await run("articles", try await Cluster.start(kind))
        }

        @Test(
            "A page's EventSource comes back through the load balancer when its node dies",
            .enabled(if: BrowserScript.isPossible, BrowserScript.missing),
            .timeLimit(.minutes(3)), arguments: LoadBalancer.Kind.allCases)
        func reconnect(kind: LoadBalancer.Kind) async throws {
            let cluster = try await Cluster.start(kind, ["--retry", "500ms", "--retry-spread", "500ms"])
            async let browser: Void = run("reconnect", cluster)
            var holder: NodeProcess?
            let isOpen = await eventually(within: 60) {
                for node in cluster.nodes where try await node.metric("streams_open") > 0 { holder = node }
                return holder != nil
            }
            #expect(isOpen)
            // The page shows that it is open before it is not.
            try await Task.sleep(for: .seconds(2))
            await holder?.kill()
            try await browser
        }
    }
}
