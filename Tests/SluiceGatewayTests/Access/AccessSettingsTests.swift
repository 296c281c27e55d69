// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceGateway
import Testing

@Suite("Settings of who may ask")
struct AccessSettingsTests {
    private func load(
        _ arguments: [String] = [], environment: [String: String] = [:], file: String? = nil
    ) throws -> Settings {
        try SettingsSource(arguments: arguments, environment: environment) { _ in try #require(file) }.load()
    }

    @Test("may have several values, from each of the three places")
    func several() throws {
        let origins = ["https://a.example", "https://*.b.example:8443"].map { OriginPattern($0) }
        let flags = try load(["--origin", "https://a.example", "--origin=https://*.b.example:8443"])
        #expect(flags.origins == origins)
        let variable = ["SLUICE_ORIGIN": "https://a.example, https://*.b.example:8443"]
        #expect(try load(environment: variable).origins == origins)
        let file = "origin: [\"https://a.example\", \"https://*.b.example:8443\"]\nhost: a.example\n"
        let filed = try load(["--config", "a.yaml"], file: file)
        #expect(filed.origins == origins)
        #expect(filed.hosts == [HostPattern("a.example")])
        #expect(try load(["--origin", "*"], environment: variable).origins == [.any], "the first place wins alone")
        let proxies = try load(["--trusted-proxy", "10.0.0.0/8", "--trusted-proxy", "::1"]).trustedProxies
        #expect(proxies.map(\.description) == ["10.0.0.0/8", "::1/128"])
    }

    @Test(
        "stop the start where they are wrong, and say what would be right",
        arguments: [
            (["--origin", "a.example"], "without a path"), (["--origin", "https://a/"], "without a path"),
            (["--host", "https://a"], "takes a host"), (["--trusted-proxy", "10.1.0.0/8"], "write 10.0.0.0/8"),
            (["--max-streams-per-address", "-1"], "whole number"), (["--head-timeout", "0s"], "from 100ms to 1h"),
            (["--tls-cert", "a.pem"], "--tls-key"), (["--tls-key", "a.pem"], "--tls-cert"),
            (["--max-header", "64KiB"], "--max-headers"), (["--max-target", "64KiB"], "--max-headers"),
            (["--log-events", "10", "--max-log-events", "9"], "--max-log-events"),
            (["--log-ttl", "2h", "--max-log-ttl", "1h"], "--max-log-ttl"), (["--proxy-protocol=2"], "true or false"),
        ])
    func wrong(arguments: [String], reason: String) {
        let failure = #expect(throws: SettingsSource.Failure.self) { try load(arguments) }
        #expect(failure?.description.contains(reason) == true, "\(failure?.description ?? "")")
    }

    @Test("tell a limit that was not given from one that is off")
    func streamsPerAddress() throws {
        #expect(try load().streamsPerAddressMax == nil)
        #expect(try load(["--max-streams-per-address", "0"]).streamsPerAddressMax == 0)
        #expect(try load(["--max-streams-per-address", "7"]).streamsPerAddressMax == 7)
    }
}
