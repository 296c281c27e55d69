// SPDX-License-Identifier: Apache-2.0
import NIOSSL
import SluiceRedis

extension TLSFiles {
    /// The certificate with which the node meets TLS clients, and its key.
    ///
    /// - Parameters: PEM files; the certificate's with all that lead to a root (RFC 8446 §4.4.2).
    /// - Throws: ``Unusable``.
    package static func server(certificate: String, key: String) throws -> TLSFiles {
        try TLSFiles([certificate, key]) {
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: try certificates(certificate, of: "--tls-cert"),
                privateKey: try TLSFiles.key(key, of: "--tls-key"))
            configuration.minimumTLSVersion = .tlsv12
            configuration.applicationProtocols = ["h2", "http/1.1"]
            do { return try NIOSSLContext(configuration: configuration) } catch {
                throw Unusable(
                    description: "--tls-key: \(key) does not belong to the certificate in \(certificate), or \(error)")
            }
        }
    }
}
