// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import SluiceGateway
import Synchronization
import TestSupport
import Testing

@Suite("A connection whose version of HTTP is found out", .timeLimit(.minutes(1)))
struct ProtocolNegotiatorTests {
    /// What the handlers behind the negotiator see of one connection.
    private final class Seen: Sendable {
        let versions = Mutex<[ProtocolNegotiator.Version]>([])
        let text = Mutex("")
    }

    private final class Witness: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer

        private let seen: Seen

        init(seen: Seen) {
            self.seen = seen
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = String(buffer: unwrapInboundIn(data))
            seen.text.withLock { $0 += bytes }
        }
    }

    /// - Parameter duringConfiguration: what is read while the handlers of the version are added.
    private func connected(
        duringConfiguration more: String = "", _ body: (RawSocket, Seen) async throws -> Void
    ) async throws {
        let seen = Seen()
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let negotiator = ProtocolNegotiator(isTLS: false) { [unowned channel] version in
                        seen.versions.withLock { $0.append(version) }
                        try channel.pipeline.syncOperations.addHandler(Witness(seen: seen))
                        if !more.isEmpty {
                            channel.pipeline.syncOperations.fireChannelRead(NIOAny(ByteBuffer(string: more)))
                        }
                    }
                    try channel.pipeline.syncOperations.addHandler(negotiator)
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        try await body(try await RawSocket(port: try #require(server.localAddress?.port)), seen)
        try await server.close()
    }

    @Test("speaks HTTP/2 if it begins with PRI, also byte by byte, and HTTP/1 otherwise; no byte is lost")
    func versions() async throws {
        for (text, version) in [
            ("PRI * HTTP/2.0", ProtocolNegotiator.Version.http2), ("PRIX", .http2), ("GET / HTTP/1.1", .http1),
            ("PUT /", .http1), ("PR/", .http1), ("\u{16}\u{3}", .http1),
        ] {
            try await connected { socket, seen in
                for byte in text.utf8 { try await socket.send([byte]) }
                #expect(await eventually { seen.text.withLock { $0 == text } })
                #expect(seen.versions.withLock { $0 } == [version], "\(text)")
            }
        }
    }

    @Test("is given its handlers once, also if more is read while they are added, as when a first write fails")
    func reentrance() async throws {
        try await connected(duringConfiguration: "PRI again") { socket, seen in
            try await socket.send("PRI first, ")
            #expect(await eventually { seen.text.withLock { $0 == "PRI first, PRI again" } })
            #expect(seen.versions.withLock { $0 } == [.http2])
        }
    }
}
