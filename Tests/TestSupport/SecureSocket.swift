// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Synchronization

/// A TLS connection to a port of this machine. It takes any certificate: what is tested is the node, and the test can
/// look at ``certificate``.
package final class SecureSocket: ByteSocket {
    package enum Version: Sendable, CaseIterable {
        case tls11
        case tls12
        case tls13

        fileprivate var number: TLSVersion {
            switch self {
            case .tls11: .tlsv11
            case .tls12: .tlsv12
            case .tls13: .tlsv13
            }
        }
    }

    private struct State {
        var received: [UInt8] = []
        var isEnded = false
        var failure: String?
    }

    private let channel: any Channel
    private let state: Shared
    /// What ALPN chose.
    package let negotiated: String?
    /// The node's, DER.
    package let certificate: [UInt8]

    /// - Parameters:
    ///   - version: the only one that is offered; nil: all.
    ///   - protocols: for ALPN, in the order of preference.
    /// - Throws: what TLS says if there is no connection.
    package init(
        port: Int, protocols: [String] = [], version: Version? = nil, receiveBuffer: Int32? = nil
    ) async throws {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        configuration.applicationProtocols = protocols
        configuration.minimumTLSVersion = version?.number ?? .tlsv11
        configuration.maximumTLSVersion = version?.number
        let context = try NIOSSLContext(configuration: configuration)
        let shared = Shared()
        var bootstrap = ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
        if let receiveBuffer {
            bootstrap = bootstrap.channelOption(.socketOption(.so_rcvbuf), value: .init(receiveBuffer))
        }
        let handshake = MultiThreadedEventLoopGroup.singleton.next().makePromise(of: Handshake.Result.self)
        do {
            channel = try await bootstrap.channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let tls = try NIOSSLClientHandler(context: context, serverHostname: nil)
                    try channel.pipeline.syncOperations.addHandlers(
                        [tls, Handshake(promise: handshake, tls: tls), Collector(shared)])
                }
            }.connect(host: "127.0.0.1", port: port).get()
        } catch {
            handshake.fail(error)
            throw error
        }
        state = shared
        do {
            (negotiated, certificate) = try await handshake.futureResult.get()
        } catch {
            channel.close(promise: nil)
            throw error
        }
    }

    deinit {
        close()
    }

    package func read() -> RawSocket.Read {
        let read: RawSocket.Read = state.withLock { state in
            if !state.received.isEmpty {
                defer { state.received = [] }
                return .bytes(state.received)
            }
            if state.failure != nil { return .broken }
            return state.isEnded ? .end : .nothing
        }
        if case .nothing = read { channel.read() }
        return read
    }

    package func send(_ bytes: [UInt8]) async throws {
        try await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get()
    }

    package func close() {
        channel.close(promise: nil)
    }

    private final class Shared: Sendable {
        private let state = Mutex(State())

        func withLock<Result>(_ body: (inout sending State) -> sending Result) -> sending Result {
            state.withLock(body)
        }
    }

    private final class Handshake: ChannelInboundHandler, RemovableChannelHandler {
        typealias InboundIn = ByteBuffer
        typealias Result = (negotiated: String?, certificate: [UInt8])

        private let promise: EventLoopPromise<Result>
        private let tls: NIOSSLClientHandler

        init(promise: EventLoopPromise<Result>, tls: NIOSSLClientHandler) {
            self.promise = promise
            self.tls = tls
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            guard case TLSUserEvent.handshakeCompleted(let negotiated)? = event as? TLSUserEvent else { return }
            let certificate = tls.peerCertificate.flatMap { try? $0.toDERBytes() } ?? []
            promise.succeed((negotiated, certificate))
            // From here on nothing is read that nobody asks for.
            _ = try? context.channel.syncOptions?.setOption(.autoRead, value: false)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            promise.fail(error)
            context.fireErrorCaught(error)
        }

        func channelInactive(context: ChannelHandlerContext) {
            promise.fail(RawSocket.Failure(description: "the node ended the connection in the handshake"))
            context.fireChannelInactive()
        }
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let state: Shared

        init(_ state: Shared) {
            self.state = state
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = unwrapInboundIn(data)
            state.withLock { $0.received += bytes.readableBytesView }
        }

        func channelInactive(context: ChannelHandlerContext) {
            state.withLock { $0.isEnded = true }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            // A peer that closes without the goodbye of TLS, as many do.
            if let error = error as? NIOSSLError, error == .uncleanShutdown { return }
            state.withLock { $0.failure = "\(error)" }
            context.close(promise: nil)
        }
    }
}
