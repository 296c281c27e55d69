// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension ClusterTests {
    /// What is in deploy/, as it is there.
    @Suite("is deployed")
    struct DeploymentTests {
        private static let secret = "s3cr3t-t0ken"

        /// A client at one of this machine's many addresses.
        private func curl(
            from address: String = "127.0.0.1", _ url: String, _ headers: [String] = []
        ) throws -> ChildProcess {
            try ChildProcess(
                "curl",
                ["-sS", "-N", "--noproxy", "*", "-m", "20", "--interface", address]
                    + headers.flatMap { ["-H", $0] } + [url])
        }

        @Test(
            "A load balancer passes on the address that a client has, not the one that it claims",
            .timeLimit(.minutes(1)), arguments: LoadBalancer.Kind.allCases)
        func clientAddress(kind: LoadBalancer.Kind) async throws {
            let node = try await NodeProcess(
                ["--threads", "1", "--trusted-proxy", "127.0.0.1", "--max-streams-per-address", "2"])
            let balancer = try await LoadBalancer(kind, nodePorts: [node.port])
            let url = "http://127.0.0.1:\(balancer.port)/events?topic=news"
            let liar = try (1...3).map { number in
                let claim = "192.0.2.\(number)"
                return try curl(
                    from: "127.0.0.2", url, ["X-Forwarded-For: \(claim)", "Forwarded: for=\(claim)"])
            }
            // Two of the three are streams; the third was sent away.
            let isLimited = await eventually {
                liar.count { $0.output.contains("event: checkpoint") } == 2 && liar.count { !$0.isRunning } == 1
            }
            #expect(isLimited, "\(liar.map(\.output))")
            let other = try curl(from: "127.0.0.3", url)
            #expect(await eventually { other.output.contains("event: checkpoint") }, "\(other.output)")
        }

        @Test(
            "No load balancer logs a query, which may hold a token: of a stream, an error or a node that is gone",
            .timeLimit(.minutes(1)), arguments: LoadBalancer.Kind.allCases)
        func logsNoToken(kind: LoadBalancer.Kind) async throws {
            let node = try await NodeProcess(["--threads", "1"])
            let balancer = try await LoadBalancer(kind, nodePorts: [node.port])
            for path in ["/topicless?", "/events?topic=%00&", "/publish?"] {
                let target = "\(path)access_token=\(DeploymentTests.secret)"
                _ = try await request(balancer.port, "GET", target)
            }
            await node.kill()
            for path in ["/events-gone", "/gone"] {
                let target = "\(path)?access_token=\(DeploymentTests.secret)"
                _ = try? await request(balancer.port, "GET", target)
            }
            // nginx writes its log every 5 s.
            #expect(await eventually(within: 15) { balancer.logs.contains("/gone") }, "\(balancer.logs)")
            #expect(!balancer.logs.contains(DeploymentTests.secret))
            #expect(!node.output.contains(DeploymentTests.secret))
        }

        @Test(
            "A load balancer keeps no body back: the node refuses a stranger's while it is still to come",
            .timeLimit(.minutes(1)), arguments: LoadBalancer.Kind.allCases,
            [("/publish", "application/json"), ("/push?client_id=a&message=m", "application/x-www-form-urlencoded")])
        func body(kind: LoadBalancer.Kind, route: (path: String, type: String)) async throws {
            let directory = try Repository.temporaryDirectory()
            defer { try? FileManager.default.removeItem(atPath: directory) }
            let maker = try ChildProcess(Repository.binary, ["token", "--new-key", "\(directory)/key"])
            #expect(await maker.exitCode() == 0, "\(maker.output)")
            let node = try await NodeProcess(
                ["--threads", "1", "--auth", "jwt", "--jwt-key", "\(directory)/key"])
            let balancer = try await LoadBalancer(kind, nodePorts: [node.port])
            let stranger = try await RawSocket(port: balancer.port)
            try await stranger.send(
                "POST \(route.path) HTTP/1.1\r\nHost: a\r\nContent-Type: \(route.type)\r\nContent-Length: 100000\r\n\r\n{"
            )
            let answer = try await stranger.receive(within: 15) ?? []
            #expect(String(decoding: answer, as: UTF8.self).hasPrefix("HTTP/1.1 401 "))
        }

        @Test("All that a build takes has one version: dependencies, also theirs, images, packages of Python")
        func versions() throws {
            func lines(_ file: String) throws -> [Substring] {
                try String(contentsOfFile: "\(Repository.root)/\(file)", encoding: .utf8).split(separator: "\n")
            }
            let manifest = try lines("Package.swift")
            for line in manifest where line.contains(".package(") { #expect(line.contains("exact: "), "\(line)") }
            // What was resolved, which is more than what the manifest's targets name.
            for line in try lines("Package.resolved") {
                guard let location = line.firstMatch(of: /"location" : "([^"]+?)(\.git)?"/)?.1 else { continue }
                #expect(manifest.contains { $0.contains(location) }, "\(location)")
            }
            for line in try lines("scripts/requirements.txt") where !line.hasPrefix("#") {
                #expect(line.contains("=="), "\(line)")
            }
            let files = ["Dockerfile", "compose.yaml", "compose.sentinel.yaml", "kubernetes/overlays/try/redis.yaml"]
            for line in try files.flatMap({ try lines("deploy/\($0)") }) {
                guard let image = line.firstMatch(of: /^(?:FROM| +image:) +([^ ]+)/)?.1, image != "sluice",
                    image != "scratch"
                else { continue }
                #expect(image.contains(/:[0-9]+\.[0-9]+/), "\(image)")
            }
        }

        @Test("A node starts with the deployed settings, and then serves its own host to those with a token")
        func settings() async throws {
            let directory = try Repository.temporaryDirectory()
            defer { try? FileManager.default.removeItem(atPath: directory) }
            let key = "\(directory)/key"
            let maker = try ChildProcess(Repository.binary, ["token", "--new-key", key])
            #expect(await maker.exitCode() == 0, "\(maker.output)")
            let node = try await NodeProcess(
                ["--config", "\(Repository.root)/deploy/config.yaml", "--threads", "1", "--jwt-key", key])
            let url = "http://127.0.0.1:\(node.port)/events?topic=news"
            let stranger = try curl(url)
            #expect(await stranger.exitCode() == 0 && stranger.output.contains("host_not_allowed"))
            let anonymous = try curl(url, ["Host: events.example.com"])
            #expect(await anonymous.exitCode() == 0 && anonymous.output.contains("unauthorized"))
            let token = try ChildProcess(
                Repository.binary,
                ["token", "--key", key, "--subscribe", "news", "--audience", "events.example.com"])
            #expect(await token.exitCode() == 0)
            let bearer = token.output.trimmingCharacters(in: .whitespacesAndNewlines)
            let subscriber = try curl(url, ["Host: events.example.com", "Authorization: Bearer \(bearer)"])
            #expect(await eventually { subscriber.output.contains("event: checkpoint") }, "\(subscriber.output)")
        }
    }
}
