// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// What is in deploy/prometheus, against a node's own page.
@Suite("Prometheus is given what it needs", .serialized)
struct PrometheusTests {
    private static let directory = "\(Repository.root)/deploy/prometheus"

    private static func file(_ name: String) throws -> String {
        try String(contentsOfFile: "\(directory)/\(name)", encoding: .utf8)
    }

    private func promtool(_ command: String) async throws -> (code: Int32?, output: String) {
        let tool = try ChildProcess("bash", ["-c", "exec promtool \(command)"])
        return (await tool.exitCode(within: 60), tool.output)
    }

    /// What expressions name: metrics as nodes have them, and what recording rules make of them.
    private static func names(in text: String) -> (metrics: Set<String>, recorded: Set<String>) {
        let recorded = Set(text.matches(of: /\b[a-z_]+:[a-z0-9_]+:[a-z0-9_]+/).map { String($0.output) })
        let rest = recorded.sorted { $0.utf8.count > $1.utf8.count }.reduce(text) { $0.replacing($1, with: "") }
        return (Set(rest.matches(of: /\b(?:sluice|process)_[a-z0-9_]+/).map { String($0.output) }), recorded)
    }

    private static func values(of key: String, in text: String) -> [String] {
        text.split(separator: "\n").compactMap { line in
            let line = line.trimmingPrefix(/[ -]*/)
            return line.hasPrefix("\(key): ") ? String(line.dropFirst(key.utf8.count + 2)) : nil
        }
    }

    /// `metric{label="value"}`, as expressions and the tests' series have it; a pattern has its values between bars.
    private static func matchers(in text: String) -> [(metric: String, label: String, values: [String])] {
        text.matches(of: /([a-z_:][a-z0-9_:]*)\{([^}]*)\}/).flatMap { selector in
            selector.2.matches(of: /([a-z_]+)(?:=~|!~|!=|=)\\?"([^"\\]*)/).map { matcher in
                let values = matcher.2.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
                return (String(selector.1), String(matcher.1), values)
            }
        }
    }

    /// The jobs that nodes are: by Prometheus' own settings, and by those of its operator, which takes the job from a label
    /// of the Service; its selector says what that is.
    private static func jobs() throws -> Set<String> {
        let monitor = try String(
            contentsOfFile: "\(Repository.root)/deploy/kubernetes/components/prometheus/servicemonitor.yaml",
            encoding: .utf8)
        let label = try #require(values(of: "jobLabel", in: monitor).first)
        return Set(values(of: "job_name", in: try file("prometheus.yml")) + values(of: label, in: monitor))
    }

    @Test("Settings and rules are taken, and each alert fires with what it is for", .timeLimit(.minutes(1)))
    func rules() async throws {
        let check = try await promtool("check config \(Self.directory)/prometheus.yml")
        #expect(check.code == 0, "\(check.output)")
        let test = try await promtool("test rules \(Self.directory)/alerts.test.yml")
        #expect(test.code == 0, "\(test.output)")
        let alerts = Self.values(of: "alert", in: try Self.file("alerts.yml"))
        let tests = try Self.file("alerts.test.yml").split(separator: "  - name: ").dropFirst()
        #expect(Set(alerts).count == alerts.count && alerts.count > 15)
        #expect(alerts == tests.map { String($0.prefix { $0 != "\n" }) })
        for (alert, test) in zip(alerts, tests) {
            #expect(test.contains("alertname: \(alert)\n        exp_alerts: []"), "\(alert) must not come too early")
            #expect(test.contains("alertname: \(alert)\n        exp_alerts:\n          - exp_labels"), "\(alert)")
        }
    }

    @Test("Each alert names the paragraph of Operations that says what to do")
    func runbooks() throws {
        let article = try String(
            contentsOfFile: "\(Repository.root)/Sources/SluiceGateway/SluiceGateway.docc/Operations.md", encoding: .utf8
        )
        let headings = Set(article.split(separator: "\n").filter { $0.hasPrefix("### ") }.map { $0.dropFirst(4) })
        let alerts = try Self.file("alerts.yml")
        let runbooks = Self.values(of: "runbook", in: alerts)
        #expect(runbooks.count == Self.values(of: "alert", in: alerts).count)
        #expect(runbooks.filter { !headings.contains($0[...]) }.isEmpty)
    }

    @Test(
        "A node has each metric that rules and board name, and rules record what they draw on", .timeLimit(.minutes(1)))
    func metrics() async throws {
        let node = try await NodeProcess(["--threads", "1"])
        let page = try await request(node.adminPort, "GET", "/metrics").text
        let metrics = Set(try MetricsText(page, isOpenMetrics: false).samples.map(\.name))
        let texts = try ["recording.yml", "alerts.yml", "grafana.json"].map { try Self.file($0) }
        let recorded = Set(Self.values(of: "record", in: texts[0]))
        for text in texts {
            let names = Self.names(in: text)
            #expect(names.metrics.subtracting(metrics).isEmpty)
            #expect(names.recorded.subtracting(recorded).isEmpty)
        }
        let used = texts.dropFirst().reduce(into: Set<String>()) { $0.formUnion(Self.names(in: $1).recorded) }
        let chained = Self.values(of: "expr", in: texts[0]).reduce(into: Set<String>()) {
            $0.formUnion(Self.names(in: $1).recorded)
        }
        #expect(recorded.subtracting(used).subtracting(chained).isEmpty, "recorded for nobody")
        let board = try JSONSerialization.jsonObject(with: Data(texts[2].utf8)) as? [String: Any]
        #expect((board?["panels"] as? [[String: Any]])?.isEmpty == false)
    }

    @Test(
        "Each value of a label that rules, alerts, their tests and the board ask for is one that nodes have",
        .timeLimit(.minutes(1)))
    func labels() async throws {
        let node = try await NodeProcess(["--threads", "1"])
        let page = try await request(node.adminPort, "GET", "/metrics").text
        let samples = try MetricsText(page, isOpenMetrics: false).samples
        let recording = try Self.file("recording.yml")
        let rules = Dictionary(
            zip(Self.values(of: "record", in: recording), Self.values(of: "expr", in: recording)),
            uniquingKeysWith: { first, _ in first })

        func known(_ metric: String, _ label: String) -> Set<String> {
            guard let rule = rules[metric] else {
                return Set(samples.filter { $0.name == metric }.compactMap { $0.labels[label] })
            }
            // Its name begins with the labels that are left.
            guard metric.prefix(while: { $0 != ":" }).split(separator: "_").contains(label[...]) else { return [] }
            let names = Self.names(in: rule)
            return names.metrics.union(names.recorded).reduce(into: []) { $0.formUnion(known($1, label)) }
        }

        let jobs = try Self.jobs()
        #expect(jobs.count == 1)
        let partitions = Set((0..<16).map(String.init))  // of a cluster
        for file in ["recording.yml", "alerts.yml", "grafana.json", "alerts.test.yml"] {
            let matchers = Self.matchers(in: try Self.file(file))
            #expect(matchers.contains { $0.label == "job" })
            for (metric, label, values) in matchers {
                // The tests' nodes and versions are made up.
                if file == "alerts.test.yml", ["instance", "version"].contains(label) { continue }
                let had = label == "job" ? jobs : label == "partition" ? partitions : known(metric, label)
                #expect(had.isSuperset(of: values), "\(file): \(metric) has no \(label) \(values), but \(had)")
            }
        }
    }

    @Test("Prometheus finds nothing to say against a node's page, and takes what it asks for", .timeLimit(.minutes(1)))
    func page() async throws {
        let node = try await NodeProcess(["--threads", "1"])
        let directory = try Repository.temporaryDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let plain = try await request(node.adminPort, "GET", "/metrics")
        #expect(plain["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8")
        try plain.text.write(toFile: "\(directory)/page", atomically: true, encoding: .utf8)
        let check = try await promtool("check metrics < \(directory)/page")
        #expect(check.code == 0 && check.output.isEmpty, "\(check.output)")
        let open = try await request(
            node.adminPort, "GET", "/metrics", headers: ["Accept": "application/openmetrics-text; version=1.0.0"])
        #expect(open["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8")
        _ = try MetricsText(open.text, isOpenMetrics: true)
    }
}
