// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// A web server on loopback that has one document and counts who asks for it.
final class KeySetServer: Sendable {
    struct Document: Sendable {
        var status = HTTPResponseStatus.ok
        var body = ""
        /// Before the answer.
        var delay = TimeAmount.zero
    }

    private struct State {
        var document: Document
        var requests = 0
    }

    private let state: Mutex<State>
    private let channel = Mutex<(any Channel)?>(nil)

    init(_ body: String) {
        state = Mutex(State(document: Document(body: body)))
    }

    var requests: Int { state.withLock { $0.requests } }

    func serve(_ document: Document) {
        state.withLock { $0.document = document }
    }

    func serve(_ body: String) {
        serve(Document(body: body))
    }

    fileprivate func request() -> Document {
        state.withLock { state in
            state.requests += 1
            return state.document
        }
    }

    /// - Parameter port: 0: any.
    func start(port: Int = 0) async throws -> Int {
        let bound = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(Handler(server: self))
                }
            }
            .bind(host: "127.0.0.1", port: port).get()
        channel.withLock { $0 = bound }
        return bound.localAddress?.port ?? 0
    }

    func stop() async {
        try? await channel.withLock { $0 }?.close().get()
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private let server: KeySetServer

        init(server: KeySetServer) {
            self.server = server
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            guard case .end = unwrapInboundIn(data) else { return }
            let document = server.request()
            let bound = NIOLoopBound((context, self), eventLoop: context.eventLoop)
            context.eventLoop.scheduleTask(in: document.delay) {
                let (context, handler) = bound.value
                let body = ByteBuffer(string: document.body)
                var head = HTTPResponseHead(version: .http1_1, status: document.status)
                head.headers.add(name: "Content-Length", value: String(body.readableBytes))
                context.write(handler.wrapOutboundOut(.head(head)), promise: nil)
                context.write(handler.wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
                context.writeAndFlush(handler.wrapOutboundOut(.end(nil)), promise: nil)
            }
        }
    }
}
