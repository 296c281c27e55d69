// SPDX-License-Identifier: Apache-2.0
import NIOSSL

/// Where Redis is and how to log in: everything that a new connection needs.
package struct RedisEndpoint: Sendable {
    package var url: RedisURL
    /// For `rediss://`; a new connection takes what the files hold then.
    package var tls: TLSFiles?
    /// Shown in Redis' `CLIENT LIST`.
    package var clientName: String

    /// - Parameters: PEM files. certificateAuthority: nil trusts what the system trusts; certificate and key: for a server
    ///   that asks its clients for one.
    /// - Throws: ``TLSFiles/Unusable``, which names the setting at fault.
    package init(
        url: RedisURL, certificateAuthority: String? = nil, certificate: String? = nil, key: String? = nil,
        clientName: String
    ) throws {
        self.url = url
        self.clientName = clientName
        guard url.usesTLS else { return }
        tls = try TLSFiles([certificateAuthority, certificate, key].compactMap { $0 }) {
            var configuration = TLSConfiguration.makeClientConfiguration()
            if let certificateAuthority { configuration.trustRoots = .file(certificateAuthority) }
            if let certificate, let key {
                configuration.certificateChain = try TLSFiles.certificates(certificate, of: "--redis-cert")
                configuration.privateKey = try TLSFiles.key(key, of: "--redis-key")
            }
            do { return try NIOSSLContext(configuration: configuration) } catch {
                let names = certificate == nil ? "--redis-ca" : "--redis-ca, --redis-cert or --redis-key"
                throw TLSFiles.Unusable(description: "\(names): can't be used: \(error)")
            }
        }
    }
}
