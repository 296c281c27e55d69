// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOCore
import SluiceGateway
import TestSupport
import Testing

@Suite("Settings")
struct SettingsTests {
    private func load(
        _ arguments: [String] = [], environment: [String: String] = [:], file: String? = nil
    ) throws -> Settings {
        try SettingsSource(arguments: arguments, environment: environment) { _ in try #require(file) }.load()
    }

    @Test("A flag wins over the environment, the environment over the file, the file over the default")
    func precedence() throws {
        let file = "heartbeat: 3s\nretry: 3s\nlifetime: 3s\nopen: true\nmax-event: 3KiB\n"
        let environment = ["SLUICE_HEARTBEAT": "2s", "SLUICE_RETRY": "2s", "SLUICE_CONFIG": "a.yaml", "HOME": "/"]
        let settings = try load(["--heartbeat", "1s"], environment: environment, file: file)
        #expect(settings.heartbeat == .seconds(1))
        #expect(settings.retry == .seconds(2))
        #expect(settings.lifetime == .seconds(3))
        #expect(settings.isOpen)
        #expect(settings.eventBytesMax == 3072)
        #expect(settings.drain == .seconds(20))
        #expect(settings.listen == ListenAddress(host: "127.0.0.1", port: 8080))
    }

    @Test("--config wins over SLUICE_CONFIG")
    func configPrecedence() throws {
        let source = SettingsSource(
            arguments: ["--config=flag.yaml"], environment: ["SLUICE_CONFIG": "environment.yaml"]
        ) { $0 == "flag.yaml" ? "stall: 7s" : "stall: 8s" }
        #expect(try source.load().stall == .seconds(7))
    }

    @Test("An empty file sets nothing")
    func emptyFile() throws {
        #expect(try load(["--config", "x"], file: "").stall == .seconds(30))
        #expect(try load(["--config", "x"], file: "# nothing\n").stall == .seconds(30))
    }

    @Test(
        "Times are read with their unit",
        arguments: [
            ("250ms", TimeAmount.milliseconds(250)), ("15s", .seconds(15)), ("5m", .minutes(5)), ("1h", .hours(1)),
        ])
    func durations(text: String, expected: TimeAmount) throws {
        #expect(try load(["--heartbeat=\(text)"]).heartbeat == expected)
    }

    @Test(
        "What is not a time in the range is refused",
        arguments: ["", "s", "15", "1.5s", "-1s", "1d", "15 s", "15S", "1ms", "2h", "99999999999h", "١s", "1ms1"])
    func badDurations(text: String) {
        #expect(throws: SettingsSource.Failure.self) { try load(["--heartbeat=\(text)"]) }
    }

    @Test(
        "Sizes are read with their unit",
        arguments: [("65536", 65536), ("64KiB", 65536), ("65536B", 65536), ("16MiB", 16 << 20), ("1GiB", 1 << 30)])
    func sizes(text: String, expected: Int) throws {
        #expect(try load(["--ring", text]).ringBytes == expected)
    }

    @Test(
        "What is not a size in the range is refused", arguments: ["", "64KB", "64k", "-1", "1KiB", "17GiB", "1.5MiB"])
    func badSizes(text: String) {
        #expect(throws: SettingsSource.Failure.self) { try load(["--ring", text]) }
    }

    @Test("Addresses may be IPv6 in brackets; strangers need --open")
    func addresses() throws {
        #expect(try load(["--listen", "[::1]:80"]).listen == ListenAddress(host: "::1", port: 80))
        #expect(try load(["--listen", "localhost:1"]).listen.isLoopback)
        #expect(try load(["--admin-listen", "off"]).adminListen == nil)
        #expect(throws: SettingsSource.Failure.self) { try load(["--listen", "[::]:80"]) }
        #expect(throws: SettingsSource.Failure.self) { try load(["--listen", "::1:80"]) }
        #expect(throws: SettingsSource.Failure.self) { try load(["--listen", ":80"]) }
        #expect(throws: SettingsSource.Failure.self) { try load(["--listen", "0.0.0.0:80"]) }
        #expect(throws: SettingsSource.Failure.self) { try load(["--listen", "127.0.0.1.example.org:80"]) }
        #expect(try load(["--listen", "0.0.0.0:80", "--open"]).isOpen)
        #expect(throws: SettingsSource.Failure.self) { try load(["--listen", "0.0.0.0:80", "--open=false"]) }
    }

    @Test("Variables of Kubernetes' service links are not settings")
    func serviceLinks() throws {
        let settings = try load(environment: [
            "SLUICE_SERVICE_HOST": "10.0.0.1", "SLUICE_PORT": "tcp://10.0.0.1:80", "SLUICE_PORT_80_TCP": "x",
        ])
        #expect(settings.listen.port == 8080)
        #expect(throws: SettingsSource.Failure.self) { try load(environment: ["SLUICE_HEART": "1s"]) }
    }

    @Test("Every default can be written down and gives the default", arguments: Setting.all.map(\.name))
    func defaults(name: String) throws {
        let setting = try #require(Setting.named(name))
        guard !setting.standard.isEmpty else { return }
        let written = try load(["--\(name)=\(setting.standard)", "--node-id", "n"].filter { $0 != "--node-id=" })
        let standard = try load(["--node-id", "n"])
        #expect("\(written)" == "\(standard)")
    }

    @Test("The README's table of settings is the program's")
    func readme() throws {
        let path = "\(Repository.root)/README.md"
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return }
        var rows: [String: String] = [:]
        for line in text.split(separator: "\n") {
            guard let match = line.firstMatch(of: /^\| *`--([a-z0-9-]+)[^|]*\| *([^|]*?) *\|/) else { continue }
            rows[String(match.1)] = match.2.filter { $0 != "`" }
        }
        try #require(!rows.isEmpty, "README.md has no table whose rows begin with a setting")
        #expect(Set(rows.keys).subtracting(["config"]) == Set(Setting.all.map(\.name)))
        for setting in Setting.all
        where !setting.standard.isEmpty && setting.placeholder != nil && setting.standard != "0" {
            #expect(rows[setting.name] == setting.standard, "\(setting.name)")
        }
    }

    @Test("A node takes its settings from all three places", .timeLimit(.minutes(1)))
    func process() async throws {
        let directory = try Repository.temporaryDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let file = "retry: 5s\nretry-spread: 0s\nnode-id: from-file\nmax-topics: 2\n"
        try file.write(toFile: "\(directory)/a.yaml", atomically: true, encoding: .utf8)
        let node = try await NodeProcess(
            ["--node-id", "from-flag"],
            environment: [
                "SLUICE_CONFIG": "\(directory)/a.yaml", "SLUICE_RETRY": "4s", "SLUICE_NODE_ID": "from-environment",
            ])
        #expect(node.id == "from-flag")
        let stream = try await EventStreamClient.opened(port: node.port, "/events?topic=a&topic=b")
        #expect(await stream.waits { $0.retries == [4000] })
        #expect(try await request(node.port, "GET", "/events?topic=a&topic=b&topic=c").status == 400)
    }
}
