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

    /// What each setting is.
    private func values(_ settings: Settings) -> [String] {
        SettingTable.all.map { "\($0.name): \($0.shown(in: settings))" }
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
        arguments: [
            "", "s", "15", "1.5s", "-1s", "1d", "15 s", "15S", "1ms", "2h", "99999999999h", "9223372036854775807h",
            "١s", "1ms1",
        ])
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
        "What is not a size in the range is refused",
        arguments: [
            "", "64KB", "64k", "-1", "1KiB", "17GiB", "1.5MiB", "18014398509481984KiB", "9223372036854775807GiB",
        ])
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
        // Names that look like loopback addresses.
        for host in ["127.0.0.1.example.org", "127.keys.example.com", "127.0.0.example", "127.0.0.256", "localhost.a"] {
            #expect(throws: SettingsSource.Failure.self, "\(host)") { try load(["--listen", "\(host):80"]) }
        }
        #expect(try load(["--listen", "127.8.9.10:1"]).listen.isLoopback)
        #expect(try load(["--listen", "0.0.0.0:80", "--open"]).isOpen)
        #expect(throws: SettingsSource.Failure.self) { try load(["--listen", "0.0.0.0:80", "--open=false"]) }
    }

    @Test(
        "What Kubernetes sets for any service named so is no setting",
        arguments: ["SLUICE", "SLUICE_REDIS", "SLUICE_LB", "SLUICE_MAX", "SLUICE_LISTEN", "SLUICE_42_B"])
    func serviceLinks(service: String) throws {
        let settings = try load(environment: [
            "\(service)_SERVICE_HOST": "10.0.0.1", "\(service)_SERVICE_PORT": "80",
            "\(service)_SERVICE_PORT_WEB": "80", "\(service)_PORT": "tcp://10.0.0.1:80",
            "\(service)_PORT_80_TCP": "tcp://10.0.0.1:80", "\(service)_PORT_80_TCP_PROTO": "tcp",
            "\(service)_PORT_80_TCP_PORT": "80", "\(service)_PORT_80_TCP_ADDR": "10.0.0.1",
            "\(service)_PORT_53_UDP_ADDR": "10.0.0.1", "\(service)_PORT_9_SCTP": "sctp://10.0.0.1:9",
        ])
        #expect(settings.listen.port == 8080)
    }

    @Test(
        "A misspelt setting in the environment stops the start and is named, also when it is empty",
        arguments: [
            ("SLUICE_HEART", "1s"), ("SLUICE_HEARTBEET", ""), ("SLUICE_REDIS_TYPO", "1s"), ("SLUICE_PORT", "8080"),
            ("SLUICE_LISTEN_PORT", "8080"), ("SLUICE_SERVICE", "a"), ("SLUICE_PORT_80", "a"), ("SLUICE_", "a"),
            ("SLUICE_TOKENS", "a"), ("SLUICE_REDIS_SERVICE_PORTS", "1"), ("SLUICE_AUTH_", "jwt"),
        ])
    func misspelt(name: String, value: String) {
        let failure = #expect(throws: SettingsSource.Failure.self) { try load(environment: [name: value]) }
        #expect(failure?.description.hasPrefix("\(name): ") == true, "\(failure?.description ?? "")")
    }

    @Test("No setting's variable can be taken for a service link")
    func linksAreNoSettings() {
        for setting in SettingTable.all {
            #expect(!ForeignVariable.isKnown(setting.environmentName, value: "tcp://10.0.0.1:80"), "\(setting.name)")
        }
    }

    @Test("Every variable that the project's own files set beside the settings is known to a node")
    func ownVariables() throws {
        let folders = [
            "deploy", "scripts", "Tests/TestSupport", "Tests/ClusterTests/Browser",
            "Sources/SluiceGateway/SluiceGateway.docc",
        ]
        let files = try folders.flatMap { folder in
            try FileManager.default.contentsOfDirectory(atPath: "\(Repository.root)/\(folder)").map {
                "\(folder)/\($0)"
            }
        }
        var names: Set<String> = []
        for file in files + ["Package.swift", "README.md", "CONTRIBUTING.md"] {
            guard let text = try? String(contentsOfFile: "\(Repository.root)/\(file)", encoding: .utf8) else {
                continue
            }
            for match in text.matches(of: /SLUICE_[A-Z0-9_]*[A-Z0-9]/) { names.insert(String(match.output)) }
        }
        try #require(names.contains("SLUICE_NODE_PASSWORD"))
        let settings = Set(SettingTable.all.map(\.environmentName) + ["SLUICE_CONFIG"])
        for name in names.subtracting(settings) {
            #expect(ForeignVariable.isKnown(name, value: "tcp://10.0.0.1:80") || name == "SLUICE_TEST", "\(name)")
        }
    }

    @Test("An empty variable is as none, for every setting", arguments: ["", " ", "\t"])
    func emptyVariables(blank: String) throws {
        var environment = ["SLUICE_CONFIG": blank]
        for setting in SettingTable.all { environment[setting.environmentName] = blank }
        let standard = try load(["--node-id", "n"])
        #expect(try values(load(["--node-id", "n"], environment: environment)) == values(standard))
        for setting in SettingTable.all where setting.isRepeatable {
            for text in [",", " , ", ",,"] {
                let settings = try load(["--node-id", "n"], environment: [setting.environmentName: text])
                #expect(values(settings) == values(standard), "\(setting.name)")
            }
        }
    }

    @Test("An empty variable does not switch off what the file has switched on")
    func emptyVariableAndFile() throws {
        let file = """
            auth: jwt
            jwt-key: a.pem
            jwt-audience: me
            jwt-issuer: us
            host: [a.example]
            origin: [https://a.example]
            anonymous: [t]
            heartbeat: 3s
            """
        var environment: [String: String] = [:]
        for setting in SettingTable.all { environment[setting.environmentName] = "" }
        let settings = try load(["--config", "a.yaml", "--node-id", "n"], environment: environment, file: file)
        #expect(try values(settings) == values(load(["--config", "a.yaml", "--node-id", "n"], file: file)))
        #expect(settings.jwtAudiences == ["me"] && settings.hosts.count == 1 && settings.auth == .jwt)
        let some = try load(["--config", "a.yaml"], environment: ["SLUICE_JWT_AUDIENCE": "a,, b ,"], file: file)
        #expect(some.jwtAudiences == ["a", "b "], "what is between the commas is taken")
    }

    @Test("An empty flag or an empty value in the file is refused, for every setting: it may stand for a check")
    func emptyFlagsAndFiles() {
        for setting in SettingTable.all {
            for text in ["", " "] {
                let flag = #expect(throws: SettingsSource.Failure.self) { try load(["--\(setting.name)=\(text)"]) }
                #expect(flag?.description.hasPrefix("--\(setting.name): ") == true, "\(flag?.description ?? "")")
            }
            let nothing = ["", "\"\"", "' '", "~", "null"]
            for text in nothing + ["[]"] + (setting.isRepeatable ? nothing.dropFirst().map { "[a, \($0)]" } : []) {
                #expect(throws: SettingsSource.Failure.self, "\(setting.name): \(text)") {
                    try load(["--config", "a.yaml"], file: "\(setting.name): \(text)\n")
                }
            }
        }
        #expect(throws: SettingsSource.Failure.self) { try load(["--config", ""]) }
    }

    @Test("Every setting has a name and a variable of its own, and says what it means")
    func names() {
        #expect(Set(SettingTable.all.map(\.environmentName)).count == SettingTable.all.count)
        for setting in SettingTable.all {
            #expect(setting.name.wholeMatch(of: /[a-z][a-z0-9]*(-[a-z0-9]+)*/) != nil, "\(setting.name)")
            #expect(!setting.meaning.isEmpty && SettingTable.help.contains("  \(setting.flag)  "), "\(setting.name)")
        }
    }

    @Test("A setting has the value that it was given last; those of a list come together; copies go their own way")
    func values() throws {
        var settings = Settings()
        let before = settings
        settings.ringBytes = 1
        settings.ringBytes = 2
        settings.adminListen = nil
        settings.jwtIssuers.append("a")
        #expect(settings.ringBytes == 2 && settings.adminListen == nil && settings.jwtIssuers == ["a"])
        #expect(before.ringBytes == 16 << 20 && before.adminListen?.port == 9090 && before.jwtIssuers.isEmpty)
        let issuers = ["--jwt-issuer", "a", "--jwt-issuer=b"]
        #expect(try load(["--auth", "jwt", "--jwks", "k"] + issuers).jwtIssuers == ["a", "b"])
    }

    @Test("An error shows what was given, but not a URL that may hold a password")
    func secrets() {
        let bad = #expect(throws: SettingsSource.Failure.self) { try load(["--log-level", "loud"]) }
        #expect(bad?.description.hasPrefix("--log-level: \"loud\": takes trace, ") == true)
        for url in ["http://u:pass@a", "redis://u:pass@a:x", "redis://u:pass@"] {
            let failure = #expect(throws: SettingsSource.Failure.self) { try load(environment: ["SLUICE_REDIS": url]) }
            #expect(failure?.description.hasPrefix("SLUICE_REDIS: ") == true)
            #expect(failure?.description.contains("pass") == false)
        }
    }

    @Test("Every default can be written down and gives the default", arguments: SettingTable.all.map(\.name))
    func defaults(name: String) throws {
        let setting = try #require(SettingTable.named(name))
        guard !setting.standard.isEmpty else { return }
        let written = try load(["--\(name)=\(setting.standard)", "--node-id", "n"].filter { $0 != "--node-id=" })
        let standard = try load(["--node-id", "n"])
        #expect(values(written) == values(standard))
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
