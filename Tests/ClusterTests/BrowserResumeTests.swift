// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension ClusterTests {
    @Suite("loses nothing for a browser")
    struct BrowserResumeTests {
        /// A run worth waiting for only now and then: SLUICE_TEST_LONG=1.
        private static let isLong = ProcessInfo.processInfo.environment["SLUICE_TEST_LONG"] == "1"
        private static let count = isLong ? 1000 : 300
        private static let seconds = isLong ? 20 : 8

        @Test(
            "While the nodes are killed in turn, a page shows every event once and in order",
            .enabled(if: BrowserScript.isPossible, BrowserScript.missing), .timeLimit(.minutes(3)),
            arguments: BrowserScript.Engine.allCases)
        func storm(engine: BrowserScript.Engine) async throws {
            let redis = try await RedisServer()
            let ports = (0..<3).map { _ in freePort() }
            var nodes: [NodeProcess] = []
            for number in ports.indices { nodes.append(try await start(number, ports, redis.url)) }
            let balancer = try await LoadBalancer(.nginx, nodePorts: ports)
            let browser = try BrowserScript.start(
                "storm", engine,
                [
                    redis.url, "http://127.0.0.1:\(balancer.port)", "\(BrowserResumeTests.count)",
                    "\(BrowserResumeTests.seconds)",
                ])
            let isOpen = await eventually(within: 60) { browser.output.hasPrefix("open\n") || !browser.isRunning }
            #expect(isOpen)

            // Every 3 s another one dies; a second later it is back, so that at most one is away.
            let begin = ContinuousClock.now
            for round in 0..<(BrowserResumeTests.seconds + 1) / 3 where browser.isRunning {
                let number = round % nodes.count
                try await Task.sleep(until: begin + .seconds(1 + 3 * round))
                await nodes[number].kill()
                try await Task.sleep(for: .seconds(1))
                nodes[number] = try await start(number, ports, redis.url)
            }
            #expect(await browser.exitCode(within: 90) == 0, "\(browser.output)")
        }

        @Test(
            "While the masters of a cluster are killed in turn, and a node beside it, a page shows every event once",
            .enabled(if: isLong, "takes two minutes: SLUICE_TEST_LONG=1"),
            .enabled(if: BrowserScript.isPossible, BrowserScript.missing), .timeLimit(.minutes(5)))
        func clusterStorm() async throws {
            let redis = try await RedisCluster(replicas: 1)
            let ports = (0..<3).map { _ in freePort() }
            var nodes: [NodeProcess] = []
            for number in ports.indices { nodes.append(try await start(number, ports, redis.url)) }
            let balancer = try await LoadBalancer(.nginx, nodePorts: ports)
            let browser = try BrowserScript.start(
                "storm", .chromium, [redis.url, "http://127.0.0.1:\(balancer.port)", "1000", "60", "8"])
            let isOpen = await eventually(within: 60) { browser.output.hasPrefix("open\n") || !browser.isRunning }
            #expect(isOpen)
            let begin = ContinuousClock.now
            for round in 0..<6 where browser.isRunning {
                try await Task.sleep(until: begin + .seconds(2 + 10 * round))
                let masters = try await redis.masters()
                let master = masters[round % masters.count]
                _ = try await redis.kill(master)
                await nodes[round % nodes.count].kill()
                nodes[round % nodes.count] = try await start(round % nodes.count, ports, redis.url)
                try await redis.restart(master)
            }
            #expect(await browser.exitCode(within: 120) == 0, "\(browser.output)")
        }

        private func start(_ number: Int, _ ports: [Int], _ redis: String) async throws -> NodeProcess {
            try await NodeProcess(
                [
                    "--redis", redis,
                    "--listen", "127.0.0.1:\(ports[number])", "--node-id", "node\(number + 1)", "--threads", "1",
                    "--trusted-proxy", "127.0.0.1", "--retry", "200ms", "--retry-spread", "300ms",
                ])
        }
    }
}
