// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOCore
import SluiceGateway
import TestSupport
import Testing
import Yams

/// What `deploy/` sets for containers, compared with the program. Whether Kubernetes takes it is for `scripts/manifests`.
@Suite("Settings of deployments")
struct DeployedSettingsTests {
    private typealias Node = Yams.Node

    private static let folder = "\(Repository.root)/deploy"
    /// Of compose, from whoever starts it; and what Kubernetes makes for a service.
    private static let foreign: Set = [
        "SLUICE_NODE_PASSWORD", "SLUICE_PUBLISHER_PASSWORD", "SLUICE_SERVICE_HOST", "SLUICE_CONFIG",
    ]

    private func text(_ path: String) throws -> String {
        try String(contentsOfFile: "\(DeployedSettingsTests.folder)/\(path)", encoding: .utf8)
    }

    private func yaml(_ path: String) throws -> Node {
        try #require(try Yams.compose(yaml: try text(path)), "\(path)")
    }

    /// The lines `NAME=VALUE` of a file for kustomize.
    private func variables(_ path: String) throws -> [String: String] {
        var variables: [String: String] = [:]
        for line in try text(path).split(separator: "\n") where !line.hasPrefix("#") {
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            try #require(parts.count == 2, "\(line)")
            variables[parts[0]] = parts[1]
        }
        return variables
    }

    /// What a node would make of them.
    private func settings(_ variables: [String: String], secrets: String = "") throws -> Settings {
        try SettingsSource(arguments: [], environment: variables) { _ in secrets }.load()
    }

    @Test("Every variable that a file in deploy/ names is one of the program's, or is told apart from them")
    func names() throws {
        let known = Set(SettingTable.all.map(\.environmentName)).union(DeployedSettingsTests.foreign)
        let files = try #require(FileManager.default.enumerator(atPath: DeployedSettingsTests.folder))
        var count = 0
        for case let path as String in files {
            // A folder, or no text.
            guard let text = try? text(path) else { continue }
            for name in text.matches(of: /SLUICE_[A-Z0-9_]*[A-Z0-9]/).map({ String($0.output) }) {
                count += 1
                #expect(known.contains(name), "\(path): \(name)")
            }
            for flag in text.matches(of: /sluice serve --([a-z0-9-]+)/).map(\.output.1) {
                #expect(flag == "config" || flag == "help" || SettingTable.named(flag) != nil, "\(path): --\(flag)")
            }
        }
        #expect(count > 20)
    }

    @Test("A pod of each overlay has settings that a node takes, listens where its ports are, and has time to drain")
    func kubernetes() throws {
        let base = try variables("kubernetes/base/settings.env")
        let overlays = try FileManager.default.contentsOfDirectory(
            atPath: "\(DeployedSettingsTests.folder)/kubernetes/overlays")
        #expect(overlays.count > 1)
        let pod = try #require(try yaml("kubernetes/base/deployment.yaml")["spec"]?["template"]?["spec"])
        let container = try #require(pod["containers"]?[0])
        let ports = (container["ports"]?.sequence ?? []).map { $0["containerPort"]?.int }
        let grace = try #require(pod["terminationGracePeriodSeconds"]?.int)
        let pause = try #require(container["lifecycle"]?["preStop"]?["sleep"]?["seconds"]?.int)
        let scaler = try yaml("kubernetes/components/autoscaling/horizontalpodautoscaler.yaml")["spec"]
        let wanted = try #require(scaler?["metrics"]?[0]?["pods"]?["target"]?["averageValue"]?.string.flatMap(Int.init))
        for overlay in overlays {
            let own = try variables("kubernetes/overlays/\(overlay)/settings.env")
            let settings = try settings(
                base.merging(own) { _, new in new }, secrets: "redis: redis://sluice-node:PASSWORD@redis:6379")
            #expect(settings.redis != nil, "\(overlay)")
            #expect([settings.listen.port, settings.adminListen?.port ?? 0] == ports, "\(overlay)")
            #expect(!settings.listen.isLoopback && settings.adminListen?.isLoopback == false, "\(overlay)")
            // Requests that were begun have 5 s more than the streams.
            let needed = TimeAmount.seconds(Int64(pause) + 5) + settings.drain
            #expect(.seconds(Int64(grace)) > needed, "\(overlay)")
            // Three pods of which one is lost.
            #expect(wanted * 3 / 2 <= settings.streamsMax, "\(overlay)")
        }
    }

    @Test("A container of each compose file has settings that a node takes, and time to drain")
    func compose() throws {
        let base = try yaml("compose.yaml")
        for file in ["compose.yaml", "compose.sentinel.yaml"] {
            let services = try #require(try yaml(file)["services"]?.mapping)
            for name in ["node1", "node2", "node3"] {
                var variables: [String: String] = [:]
                for environment in [base["services"]?[name]?["environment"], services[Node(name)]?["environment"]] {
                    for (key, value) in merged(environment) {
                        variables[key] = value.replacing(/\$\{[^}]*\}/, with: "0123")
                    }
                }
                let settings = try settings(variables)
                #expect(settings.redis != nil && settings.isOpen, "\(file): \(name)")
                let pause = try #require(
                    merged(base["services"]?[name])["stop_grace_period"].flatMap { Int($0.dropLast()) })
                #expect(.seconds(Int64(pause)) > settings.drain + .seconds(5))
            }
        }
    }

    /// The scalars of a mapping, with those that `<<` brings.
    private func merged(_ node: Node?) -> [String: String] {
        var values: [String: String] = [:]
        for (key, value) in node?.mapping ?? [:] {
            guard let name = key.string else { continue }
            if name == "<<" {
                values.merge(merged(value)) { own, _ in own }
            } else if let text = value.scalar?.string {
                values[name] = text
            }
        }
        return values
    }
}
