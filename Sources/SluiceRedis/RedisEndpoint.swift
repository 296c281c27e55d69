// SPDX-License-Identifier: Apache-2.0
import NIOSSL

/// Where a server is and how to log in: everything that a new connection needs.
package struct RedisEndpoint: Sendable {
    package var address: RedisAddress
    /// Empty for Redis' default user.
    package var user: String
    package var password: String?
    package var database: Int
    /// nil: without TLS. A new connection takes what the files hold then.
    package var tls: TLSFiles?
    /// Shown in Redis' `CLIENT LIST`.
    package var clientName: String

    /// The first host of a URL.
    ///
    /// - Parameters: PEM files. certificateAuthority: nil trusts what the system trusts; certificate and key: for a server
    ///   that asks its clients for one.
    /// - Throws: ``TLSFiles/Unusable``, which names the setting at fault.
    package init(
        url: RedisURL, certificateAuthority: String? = nil, certificate: String? = nil, key: String? = nil,
        clientName: String
    ) throws {
        address = url.hosts[0]
        user = url.user
        password = url.password
        database = url.database
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

    /// Another server with the same login.
    package func at(_ address: RedisAddress) -> RedisEndpoint {
        var endpoint = self
        endpoint.address = address
        return endpoint
    }

    /// Without the password: fit for a log.
    package var url: String {
        "\(tls == nil ? "redis" : "rediss")://\(password == nil ? "" : "\(user):***@")\(address)/\(database)"
    }
}
