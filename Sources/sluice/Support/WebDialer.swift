// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import NIOSSL

/// Makes connections to one web server, with TLS where its address says so.
struct WebDialer: Sendable {
    private static let connectTimeout = TimeAmount.seconds(10)

    let address: WebAddress
    private let tls: NIOSSLContext?

    /// - Parameter certificateAuthority: a PEM file; nil trusts what the system trusts.
    init(_ address: WebAddress, certificateAuthority: String? = nil) throws {
        self.address = address
        guard address.usesTLS else {
            tls = nil
            return
        }
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.applicationProtocols = ["http/1.1"]
        if let certificateAuthority { configuration.trustRoots = .file(certificateAuthority) }
        do { tls = try NIOSSLContext(configuration: configuration) } catch {
            throw Failure("can't read the certificates", error)
        }
    }

    /// A bootstrap whose channels have TLS, where needed, and then what `initializer` adds, on the channel's loop.
    func bootstrap(
        on eventLoop: any EventLoop, initializer: @escaping @Sendable (any Channel) throws -> Void
    ) -> ClientBootstrap {
        ClientBootstrap(group: eventLoop)
            .connectTimeout(WebDialer.connectTimeout)
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
