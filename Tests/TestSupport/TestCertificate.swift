// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A self-signed certificate of the test's own, made anew for each.
package final class TestCertificate: Sendable {
    private let directory: String
    private let names: String
    package let certificateFile: String
    package let keyFile: String

    /// - Parameter names: whose it is, as of `subjectAltName`.
    package init(names: String = "DNS:localhost,IP:127.0.0.1") async throws {
        self.names = names
        directory = try Repository.temporaryDirectory()
        certificateFile = directory + "/certificate.pem"
        keyFile = directory + "/key.pem"
        try await renew()
    }

    deinit {
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// `--tls-cert` and `--tls-key`.
    package var settings: [String] { ["--tls-cert", certificateFile, "--tls-key", keyFile] }

    /// Puts another pair in the place of the old one, each file at once, as certificate renewals do.
    package func renew() async throws {
        let process = try ChildProcess(
            "openssl",
            [
                "req", "-x509", "-days", "2", "-subj", "/CN=localhost", "-addext",
                "subjectAltName=\(names)", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "new.key", "-out", "new.pem",
            ], directory: directory)
        guard await process.exitCode() == 0 else { throw ChildProcess.Failure(description: process.output) }
        rename(directory + "/new.key", keyFile)
        rename(directory + "/new.pem", certificateFile)
    }
}
