// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import SluiceGateway
import Testing

@Suite("Settings of tokens")
struct AuthSettingsTests {
    private func load(_ arguments: [String]) throws -> Settings {
        try SettingsSource(arguments: arguments, environment: [:]) { _ in "" }.load()
    }

    private func problem(_ arguments: [String]) -> String? {
        let source = SettingsSource(arguments: arguments, environment: [:]) { _ in "" }
        do throws(SettingsSource.Failure) {
            _ = try source.load()
            return nil
        } catch { return error.description }
    }

    @Test("All of them are read, those that can be there several times in their order")
    func values() throws {
        let settings = try load([
            "--auth", "jwt", "--jwt-key", "a.pem", "--jwt-key", "one=/b=c.pem", "--jwt-key", "./d=e",
            "--jwt-publish-key", "two=p.key", "--jwks", "keys.json", "--jwks", "https://example.org/keys", "--jwks",
            "http://127.0.0.1:81/", "--jwks", "http://[::1]/keys", "--jwt-issuer", "i", "--jwt-issuer", "j",
            "--jwt-audience", "k", "--jwt-cookie", "c", "--jwt-leeway", "1m", "--anonymous", "news.*", "--anonymous",
            "topic:b",
        ])
        #expect(settings.auth == .jwt)
        #expect(settings.jwtKeys.map(\.name) == [nil, "one", nil])
        #expect(settings.jwtKeys.map(\.path) == ["a.pem", "/b=c.pem", "./d=e"])
        #expect(settings.jwtPublishKeys.map(\.name) == ["two"])
        #expect(settings.jwks.first == .file("keys.json"))
        #expect(settings.jwks.count == 4)
        #expect(settings.jwtIssuers == ["i", "j"])
        #expect(settings.jwtAudiences == ["k"])
        #expect(settings.jwtCookie == "c")
        #expect(settings.jwtLeeway == .minutes(1))
        #expect(settings.anonymous == [try TargetPattern("news.*"), try TargetPattern("topic:b")])
    }

    @Test("With tokens a node may listen anywhere")
    func listener() throws {
        #expect(try load(["--auth", "jwt", "--jwt-key", "k", "--listen", "0.0.0.0:80"]).listen.port == 80)
        #expect(problem(["--listen", "0.0.0.0:80"]) != nil)
    }

    @Test(
        "Loopback is an address or localhost, and no name that looks like one",
        arguments: [
            ("127.0.0.1:80", true), ("127.255.255.254:80", true), ("[::1]:80", true), ("[0:0:0:0:0:0:0:1]:80", true),
            ("[::ffff:127.0.0.1]:80", true), ("localhost:80", true),
            ("127.keys.example.com:80", false), ("127.0.0.example:80", false), ("127.1:80", false),
            ("0.0.0.0:80", false),
            ("[::]:80", false), ("[::2]:80", false), ("localhost.example:80", false), ("0127.0.0.1:80", false),
            ("128.0.0.1:80", false), ("127.0.0.1.:80", false),
        ])
    func loopback(address: String, isLoopback: Bool) throws {
        #expect(try #require(ListenAddress(address)).isLoopback == isLoopback)
        // Open mode and plain text stand on it.
        #expect((problem(["--listen", address]) == nil) == isLoopback)
        #expect((KeySetLocation("http://\(address)/keys") != nil) == isLoopback)
    }

    @Test(
        "What can't be meant stops the start with a line that begins with the setting",
        arguments: [
            ["--auth", "jwt"], ["--auth", "none"], ["--jwt-key", "k"], ["--jwt-publish-key", "k"], ["--jwks", "k"],
            ["--jwt-issuer", "i"], ["--jwt-audience", "i"], ["--jwt-cookie", "i"], ["--jwt-leeway", "1s"],
            ["--anonymous", "*"], ["--jwt-key", ""], ["--jwt-key", "=a"], ["--jwt-key", "a="],
            ["--jwks", "http://example.org/keys"], ["--jwks", "http://127.0.0.1.example.org/"],
            ["--jwks", "http://127.keys.example.com/"], ["--jwks", "http://127.0.0.example/keys"],
            ["--jwks", "http://[::2]/keys"], ["--jwks", "http://0.0.0.0/keys"], ["--jwks", "http://0127.0.0.1/keys"],
            ["--jwks", "http://localhost.example.org/keys"], ["--jwks", "ftp://x/y"],
            ["--jwks", "https://user@example.org/"], ["--anonymous", "client:*"], ["--anonymous", "a b"],
            ["--jwt-cookie", "a b"], ["--jwt-cookie", "a=b"], ["--jwt-cookie", ""], ["--jwt-leeway", "6m"],
            ["--jwt-issuer", ""], ["--auth", "jwt", "--anonymous", "*"],
        ])
    func problems(arguments: [String]) throws {
        let problem = try #require(self.problem(arguments))
        #expect(problem.hasPrefix(arguments[0] + ":"))
    }
}
