// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import SluiceGateway
import Synchronization
import TestSupport
import Testing

@Suite("A connection behind a PROXY header", .timeLimit(.minutes(1)))
struct ProxyHeaderHandlerTests {
    /// What the handlers behind the header see of one connection.
    private final class Seen: Sendable {
        struct Record {
            var sources: [NetworkAddress] = []
            /// What had come when the address was told.
            var textBefore: String?
            var text = ""
            var refusals = 0
            var isClosed = false
        }

        let record = Mutex(Record())
    }

    private final class Witness: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer

        private let seen: Seen
        private let refuses: Bool

        init(seen: Seen, refuses: Bool) {
            self.seen = seen
            self.refuses = refuses
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let text = String(buffer: unwrapInboundIn(data))
            seen.record.withLock { $0.text += text }
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            guard let source = event as? ProxyHeader.Source else { return }
            seen.record.withLock {
                $0.sources.append(source.address)
                $0.textBefore = $0.text
            }
            if refuses { context.close(promise: nil) }
        }

        func channelInactive(context: ChannelHandlerContext) {
            seen.record.withLock { $0.isClosed = true }
        }
    }

    private func connected(
        refuses: Bool = false, _ body: (RawSocket, Seen, any Channel) async throws -> Void
    ) async throws {
        let seen = Seen()
        let accepted = Mutex<(any Channel)?>(nil)
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                accepted.withLock { $0 = channel }
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        ProxyHeaderHandler(onRefusal: { _ in seen.record.withLock { $0.refusals += 1 } }),
                        Witness(seen: seen, refuses: refuses),
                    ])
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let socket = try await RawSocket(port: try #require(server.localAddress?.port))
        #expect(await eventually { accepted.withLock { $0 != nil } })
        try await body(socket, seen, try #require(accepted.withLock { $0 }))
        try await server.close()
    }

    private let line = Array("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n".utf8)

    @Test("learns the address before the first byte, gets every byte behind the header, and then is like any other")
    func passes() async throws {
        for header in [line, ProxyHeaderTests.block(0x21, 0x11, ProxyHeaderTests.addresses4)] {
            try await connected { socket, seen, channel in
                try await socket.send(header + Array("first".utf8))
                try await socket.send(" second")
                #expect(await eventually { seen.record.withLock { $0.text == "first second" } })
                seen.record.withLock {
                    #expect($0.sources.map(\.description) == ["192.0.2.1"])
                    #expect($0.textBefore == "")
                    #expect($0.refusals == 0)
                }
                await #expect(throws: ChannelPipelineError.self) {
                    _ = try await channel.pipeline.containsHandler(type: ProxyHeaderHandler.self).get()
                }
            }
        }
    }

    @Test("waits for a header that comes byte by byte")
    func trickle() async throws {
        try await connected { socket, seen, _ in
            for byte in line + Array("GET".utf8) { try await socket.send([byte]) }
            #expect(await eventually { seen.record.withLock { $0.text == "GET" && $0.sources.count == 1 } })
        }
    }

    @Test("keeps its peer's address where the balancer speaks for itself")
    func local() async throws {
        try await connected { socket, seen, _ in
            try await socket.send(ProxyHeaderTests.block(0x20, 0x00, []) + Array("GET".utf8))
            #expect(await eventually { seen.record.withLock { $0.text == "GET" } })
            seen.record.withLock { #expect($0.sources.isEmpty) }
        }
    }

    @Test("is closed without an answer if the header is not there, and nobody sees its bytes")
    func absent() async throws {
        for text in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "PROXY TCP4 192.0.2.1\r\nGET / HTTP/1.1\r\n\r\n"] {
            try await connected { socket, seen, _ in
                try await socket.send(text)
                #expect(try await socket.receiveAll() == [])
                #expect(await eventually { seen.record.withLock { $0.isClosed } })
                seen.record.withLock {
                    #expect($0.refusals == 1)
                    #expect($0.text == "")
                    #expect($0.sources.isEmpty)
                }
            }
        }
    }

    @Test("whose address is refused is closed, and nobody sees what it has sent behind the header")
    func refusedAddress() async throws {
        for header in [line, ProxyHeaderTests.block(0x21, 0x11, ProxyHeaderTests.addresses4)] {
            try await connected(refuses: true) { socket, seen, _ in
                try await socket.send(header + Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
                #expect(await eventually { seen.record.withLock { $0.isClosed } })
                seen.record.withLock {
                    #expect($0.sources.count == 1)
                    #expect($0.text == "")
                }
            }
        }
    }

    @Test("that ends before its header, as a health check's, is not counted as refused")
    func ended() async throws {
        try await connected { socket, seen, _ in
            try await socket.send("PRO")
            socket.close()
            #expect(await eventually { seen.record.withLock { $0.isClosed } })
            seen.record.withLock { #expect($0.refusals == 0) }
        }
    }
}
