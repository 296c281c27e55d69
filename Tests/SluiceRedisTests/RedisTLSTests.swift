// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOCore
import NIOPosix
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

    /// - Parameter asksClients: each needs a certificate of the authority, too.
    init(names: String, asksClients: Bool = false) async throws {
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
            "--tls-ca-cert-file", directory + "/ca.pem", "--tls-auth-clients", asksClients ? "yes" : "no",
        ])
    }

    /// A certificate that a client may show, and its key. A second one takes the place of the first.
    func makeClientCertificate(days: Int = 2) async throws -> (certificate: String, key: String) {
        try await TLSServer.openssl(
            [
                "req", "-subj", "/CN=node", "-keyout", "new.key", "-out", "client.csr", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:prime256v1", "-nodes",
            ], directory)
        try await TLSServer.openssl(
            [
                "x509", "-req", "-days", "\(days)", "-in", "client.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-out", "new.pem",
            ], directory)
        rename(directory + "/new.key", directory + "/client.key")
        rename(directory + "/new.pem", directory + "/client.pem")
        return (directory + "/client.pem", directory + "/client.key")
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

    @Test("a server that asks its clients for a certificate gets the one that is set, and lets nobody in without")
    func clientCertificate() async throws {
        let tls = try await TLSServer(names: "DNS:localhost", asksClients: true)
        defer { tls.remove() }
        let url = try RedisURL("rediss://localhost:\(tls.port)")
        let pair = try await tls.makeClientCertificate()
        let endpoint = try RedisEndpoint(
            url: url, certificateAuthority: tls.authority, certificate: pair.certificate, key: pair.key,
            clientName: "tls-test")
        let client = try await Client(endpoint)
        #expect(try await client.send("PING") == .status("PONG"))
        let bare = try tls.endpoint(host: "localhost", authority: tls.authority)
        await #expect(throws: (any Error).self) { _ = try await Client(bare).send("PING") }

        // A renewal is for the next connection; what can't be used changes nothing.
        _ = try await tls.makeClientCertificate(days: 3)
        let files = try #require(endpoint.tls)
        #expect(try files.reload())
        #expect(try await Client(endpoint).send("PING") == .status("PONG"))
        #expect(try await client.send("PING") == .status("PONG"))
        try "half written".write(toFile: pair.certificate, atomically: true, encoding: .utf8)
        let failure = #expect(throws: TLSFiles.Unusable.self) { try files.reload() }
        #expect(failure?.description.hasPrefix("--redis-cert: ") == true)
        #expect(try await Client(endpoint).send("PING") == .status("PONG"))
    }

    @Test("a node shows it, and takes a renewed one on SIGHUP", .timeLimit(.minutes(1)))
    func node() async throws {
        let tls = try await TLSServer(names: "DNS:localhost", asksClients: true)
        defer { tls.remove() }
        let pair = try await tls.makeClientCertificate()
        let node = try await NodeProcess([
            "--redis", "rediss://localhost:\(tls.port)", "--redis-ca", tls.authority, "--redis-cert", pair.certificate,
            "--redis-key", pair.key,
        ])
        #expect(await eventually { try await request(node.port, "GET", "/readyz").status == 200 })
        _ = try await tls.makeClientCertificate(days: 3)
        node.signal(SIGHUP)
        #expect(await eventually { node.output.contains("setting=--redis-cert") })
        let publish = try ChildProcess(
            Repository.binary,
            [
                "publish", "--redis", "rediss://localhost:\(tls.port)", "--ca", tls.authority, "--redis-cert",
                pair.certificate, "--redis-key", pair.key, "--topic", "a", "x",
            ])
        #expect(await publish.exitCode() == 0, "\(publish.output)")
        try await tls.server.cli("CLIENT", "KILL", "TYPE", "normal")
        #expect(await eventually { try await request(node.port, "GET", "/readyz").status == 200 })
    }

    @Test("a key of another certificate fails at the start, and the line names the settings")
    func otherKey() async throws {
        let tls = try await TLSServer(names: "DNS:localhost", asksClients: true)
        defer { tls.remove() }
        let pair = try await tls.makeClientCertificate()
        let failure = #expect(throws: TLSFiles.Unusable.self) {
            try RedisEndpoint(
                url: RedisURL("rediss://localhost"), certificate: pair.certificate,
                key: tls.directory + "/server.key", clientName: "x")
        }
        #expect(failure?.description.contains("--redis-key") == true)
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

    @Test("Sentinels speak TLS like the server that they name, with the same authority, and not without it")
    func sentinel() async throws {
        let tls = try await TLSServer(names: "IP:127.0.0.1")
        defer { tls.remove() }
        let port = freePort()
        let file = tls.directory + "/sentinel.conf"
        try """
        port 0
        tls-port \(port)
        bind 127.0.0.1
        tls-cert-file \(tls.directory)/server.pem
        tls-key-file \(tls.directory)/server.key
        tls-ca-cert-file \(tls.authority)
        tls-auth-clients no
        tls-replication yes
        sentinel monitor sluice 127.0.0.1 \(tls.port) 1
        """.write(toFile: file, atomically: true, encoding: .utf8)
        let process = try ChildProcess("redis-sentinel", [file])
        let url = try RedisURL("rediss+sentinel://127.0.0.1:\(port)/sluice")
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        func connect(authority: String?) async throws -> RedisAddress {
            let endpoint = try RedisEndpoint(url: url, certificateAuthority: authority, clientName: "tls-test")
            let locator = RedisLocator(url, endpoint, on: loop)
            return try await loop.flatSubmit {
                locator.connect(on: loop).assumeIsolated().map { connection in
                    defer { connection.close() }
                    locator.close()
                    return connection.address
                }.nonisolated()
            }.get()
        }
        let isFound = await eventually {
            try await connect(authority: tls.authority) == RedisAddress(host: "127.0.0.1", port: tls.port)
        }
        #expect(isFound, "\(process.output)")
        let error = await #expect(throws: Sentinels.NoAnswer.self) { _ = try await connect(authority: nil) }
        #expect("\(error.map { "\($0)" } ?? "")".contains("CERTIFICATE_VERIFY_FAILED"))
    }
}
