// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// The bench as it is run, against a node or what takes one's place.
@Suite(.serialized) struct BenchTransportTests {
    private static let streams = 30
    private static let messages = 20

    /// The exit code and the report.
    private func bench(_ arguments: [String]) async throws -> (code: Int32?, report: [String: Any]) {
        let bench = try ChildProcess(
            Repository.binary, ["bench", "--json", "--quiet", "--settle", "10ms"] + arguments)
        let code = await bench.exitCode(within: 60)
        let report = try JSONSerialization.jsonObject(with: Data(bench.output.utf8)) as? [String: Any]
        return (code, try #require(report, "\(bench.output)"))
    }

    private func streams(_ scheme: String, _ port: Int) -> [String] {
        ["--url", "\(scheme)://127.0.0.1:\(port)/events?topic=bench"]
    }

    @Test(
        "Every stream is seen to get every message, on each transport", .timeLimit(.minutes(2)),
        arguments: [false, true], [false, true])
    func delivers(isTLS: Bool, isHTTP2: Bool) async throws {
        let certificate = try await TestCertificate()
        let node = try await NodeProcess(["--threads", "1"] + (isTLS ? certificate.settings : []))
        let scheme = isTLS ? "https" : "http"
        var arguments =
            streams(scheme, node.port) + [
                "--streams", "\(BenchTransportTests.streams)", "--messages", "\(BenchTransportTests.messages)",
                "--rate",
                "100", "--publish-url", "\(scheme)://127.0.0.1:\(node.port)/publish", "--publish-header",
                "Content-Type: application/json", "--body-template", #"{"topic":"bench","data":"{data}"}"#,
                "--ca", certificate.certificateFile, "--pid", "\(node.processID)",
            ]
        // Several connections, the last one not full.
        if isHTTP2 { arguments += ["--http2", "--streams-per-connection", "8"] }
        let (code, report) = try await bench(arguments)
        #expect(code == 0 && report["ok"] as? Bool == true, "\(report)")
        #expect(report["opened"] as? Int == BenchTransportTests.streams)
        #expect(report["deliveries"] as? Int == BenchTransportTests.streams * BenchTransportTests.messages)
        #expect((report["server"] as? [String: Any])?["cpu_us_per_delivery"] != nil)
    }

    @Test("Streams beyond what a server takes on one connection are refused, not waited for", .timeLimit(.minutes(1)))
    func refusesTooMany() async throws {
        let node = try await NodeProcess(["--threads", "1", "--max-http2-streams", "5"])
        let (code, report) = try await bench(
            streams("http", node.port) + ["--streams", "8", "--http2", "--streams-per-connection", "8"])
        #expect(code == 1)
        #expect(report["opened"] as? Int == 5 && report["refused"] as? Int == 3, "\(report)")
        #expect(report["first_problem"] as? String == "the server takes fewer streams of a connection")
    }

    @Test("A certificate that nobody vouches for is refused, but for --insecure", .timeLimit(.minutes(1)))
    func insecure() async throws {
        let certificate = try await TestCertificate()
        let node = try await NodeProcess(["--threads", "1"] + certificate.settings)
        let arguments = streams("https", node.port) + ["--streams", "2", "--http2"]
        let (code, report) = try await bench(arguments)
        #expect(code == 1 && report["refused"] as? Int == 2)
        #expect(report["first_problem"] as? String == "the server's certificate is not trusted")
        #expect(try await bench(arguments + ["--insecure"]).code == 0)
    }

    @Test("A server without HTTP/2 is named as such", .timeLimit(.minutes(1)))
    func noHTTP2() async throws {
        let certificate = try await TestCertificate()
        let port = freePort()
        let server = try ChildProcess(
            "openssl",
            [
                "s_server", "-www", "-accept", "127.0.0.1:\(port)", "-cert", certificate.certificateFile, "-key",
                certificate.keyFile,
            ])
        #expect(await eventually { server.output.contains("ACCEPT") || !server.isRunning })
        let (code, report) = try await bench(
            streams("https", port) + ["--streams", "2", "--http2", "--ca", certificate.certificateFile])
        #expect(code == 1 && report["refused"] as? Int == 2)
        #expect(report["first_problem"] as? String == "the server does not offer HTTP/2")
    }
}
