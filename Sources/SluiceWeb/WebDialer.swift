// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import NIOSSL

/// Makes connections to one web server, with TLS where its address says so.
package struct WebDialer: Sendable {
    package let address: WebAddress
    private let connectTimeout: TimeAmount
    private let tls: NIOSSLContext?

    package struct BadCertificates: Error, CustomStringConvertible {
        package let description: String
    }

    /// - Parameter certificateAuthority: a PEM file; nil trusts what the system trusts.
    /// - Parameter verifiesServer: whether its certificate has to be good, and its own.
    /// - Parameter protocols: what is offered in the TLS handshake (ALPN).
    /// - Parameter connectTimeout: for the host's name to be looked up and the connection to be there.
    /// - Throws: ``BadCertificates``.
    package init(
        _ address: WebAddress, certificateAuthority: String? = nil, verifiesServer: Bool = true,
        protocols: [String] = ["http/1.1"], connectTimeout: TimeAmount = .seconds(10)
    ) throws(BadCertificates) {
        self.address = address
        self.connectTimeout = connectTimeout
        guard address.usesTLS else {
            tls = nil
            return
        }
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.applicationProtocols = protocols
        if !verifiesServer { configuration.certificateVerification = .none }
        if let certificateAuthority { configuration.trustRoots = .file(certificateAuthority) }
        do { tls = try NIOSSLContext(configuration: configuration) } catch {
            throw BadCertificates(description: "can't read the certificates: \(NetworkError.reason(error))")
        }
    }

    /// A bootstrap whose channels have TLS, where needed, and then what `initializer` adds, on the channel's loop.
    package func bootstrap(
        on eventLoop: any EventLoop, initializer: @escaping @Sendable (any Channel) throws -> Void
    ) -> ClientBootstrap {
        ClientBootstrap(group: eventLoop)
            .connectTimeout(connectTimeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls {
                        try channel.pipeline.syncOperations.addHandler(
                            NIOSSLClientHandler(context: tls, serverHostname: serverName))
                    }
                    try initializer(channel)
                }
            }
    }

    /// An address has no server name indication (RFC 6066 §3).
    private var serverName: String? {
        (try? SocketAddress(ipAddress: address.host, port: 0)) == nil ? address.host : nil
    }
}
