// SPDX-License-Identifier: Apache-2.0
import Foundation
import SluiceRedis
import TestSupport
import Testing

/// A certificate authority of the test's own, and a server with a certificate from it.
private struct TLSServer {
    struct Failure: Error {
        let output: String
    }

    let directory: String
    let server: RedisServer
    let port: Int

    init(names: String) async throws {
        directory = NSTemporaryDirectory() + "sluice-tls-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try "subjectAltName=\(names)\n".write(toFile: directory + "/names", atomically: true, encoding: .utf8)
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        try await TLSServer.openssl(
            ["req", "-x509", "-days", "2", "-subj", "/CN=Sluice test CA", "-keyout", "ca.key", "-out", "ca.pem"] + key,
            directory)
        try await TLSServer.openssl(
            ["req", "-subj", "/CN=redis", "-keyout", "server.key", "-out", "server.csr"] + key, directory)
        try await TLSServer.openssl(
            [
                "x509", "-req", "-days", "2", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial",
                "-extfile", "names", "-out", "server.pem",
            ], directory)
        port = freePort()
        server = try await RedisServer(arguments: [
            "--tls-port", "\(port)", "--tls-cert-file", directory + "/server.pem", "--tls-key-file",
            directory + "/server.key",
            "--tls-ca-cert-file", directory + "/ca.pem", "--tls-auth-clients", "no",
        ])
    }

    func remove() { try? FileManager.default.removeItem(atPath: directory) }

    var authority: String { directory + "/ca.pem" }

    private static func openssl(_ arguments: [String], _ directory: String) async throws {
        let process = try ChildProcess("openssl", arguments, directory: directory)
        guard await process.exitCode() == 0 else { throw Failure(output: process.output) }
    }

    func endpoint(host: String, authority: String?) throws -> RedisEndpoint {
        try RedisEndpoint(
            url: RedisURL("rediss://\(host):\(port)"), certificateAuthority: authority, clientName: "tls-test")
    }
}

@Suite("RedisConnection over TLS")
struct RedisTLSTests {
    @Test(
        "a certificate of the given authority that names the host is accepted", arguments: ["localhost", "127.0.0.1"])
    func accepts(_ host: String) async throws {
        let tls = try await TLSServer(names: "DNS:localhost,IP:127.0.0.1")
        defer { tls.remove() }
        let client = try await Client(try tls.endpoint(host: host, authority: tls.authority))
        #expect(try await client.send("PING") == .status("PONG"))
        #expect(try await tls.server.cli("CLIENT", "LIST").contains("name=tls-test"))
    }

    @Test(
        "a certificate that names another host is refused",
        arguments: [("localhost", "DNS:redis.example.org,IP:10.9.8.7"), ("127.0.0.1", "DNS:localhost,IP:10.9.8.7")])
    func refusesOtherName(_ host: String, _ names: String) async throws {
        let tls = try await TLSServer(names: names)
        defer { tls.remove() }
        let endpoint = try tls.endpoint(host: host, authority: tls.authority)
        await #expect(throws: (any Error).self) { _ = try await Client(endpoint) }
        #expect(try await !tls.server.cli("CLIENT", "LIST").contains("name=tls-test"))
    }

    @Test("a certificate of an authority that nobody trusts is refused")
    func refusesUnknownAuthority() async throws {
        let tls = try await TLSServer(names: "DNS:localhost,IP:127.0.0.1")
        defer { tls.remove() }
        let endpoint = try tls.endpoint(host: "localhost", authority: nil)
        await #expect(throws: (any Error).self) { _ = try await Client(endpoint) }
    }

    @Test("an authority's file that can't be read fails at the start")
    func missingAuthority() throws {
        let url = try RedisURL("rediss://localhost")
        #expect(throws: (any Error).self) {
            try RedisEndpoint(url: url, certificateAuthority: "/nonexistent/ca.pem", clientName: "x")
        }
    }

    @Test("a server without TLS is refused by rediss")
    func plainServer() async throws {
        let server = try await RedisServer()
        let endpoint = try RedisEndpoint(url: RedisURL("rediss://localhost:\(server.port)"), clientName: "x")
        await #expect(throws: (any Error).self) { _ = try await Client(endpoint) }
    }
}
