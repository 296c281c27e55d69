// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import Synchronization

/// A web server on loopback that answers what it is told, whatever it is asked, and remembers what that was.
final class ScriptedServer: Sendable {
    struct Answer: Sendable {
        static let streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"

        var text: String
        /// What is sent behind it again and again, for as long as somebody takes it; nil: nothing.
        var flood: String?
        var closes = true

        /// A stream whose end is the connection's.
        static func stream(_ body: String) -> Answer { Answer(text: streamHead + "\r\n" + body) }

        static func whole(_ status: String, _ headers: String = "", _ body: String = "") -> Answer {
            Answer(text: "HTTP/1.1 \(status)\r\n\(headers)Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
        }
    }

    private struct State {
        var script: [Answer]
        var requests: [String] = []
        var flooded = 0
        var opened = 0
        var closed = 0
    }

    private let state: Mutex<State>
    private let channel = Mutex<(any Channel)?>(nil)

    init(_ script: [Answer]) {
        state = Mutex(State(script: script))
    }

    /// The requests' heads.
    var requests: [String] { state.withLock { $0.requests } }
    /// Bytes of floods that the network has taken.
    var flooded: Int { state.withLock { $0.flooded } }
    /// Connections that were made.
    var opened: Int { state.withLock { $0.opened } }
    /// Connections that have ended.
    var closed: Int { state.withLock { $0.closed } }

    /// - Returns: its address.
    func start() async throws -> String {
        let bound = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(server: self))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        channel.withLock { $0 = bound }
        return "http://127.0.0.1:\(bound.localAddress?.port ?? 0)"
    }

    deinit {
        channel.withLock { $0?.close(promise: nil) }
    }

    /// The next answer; the last one again and again.
    private func answer(_ request: String) -> Answer {
        state.withLock { state in
            state.requests.append(request)
            return state.script.count > 1 ? state.script.removeFirst() : state.script[0]
        }
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let server: ScriptedServer
        private var request = ""

        init(server: ScriptedServer) {
            self.server = server
        }

        func channelActive(context: ChannelHandlerContext) {
            server.state.withLock { $0.opened += 1 }
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            request += String(buffer: unwrapInboundIn(data))
            guard request.contains("\r\n\r\n") else { return }
            let answer = server.answer(request)
            request = ""
            let written = context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer.text)))
            if let flood = answer.flood {
                send(flood, context: context)
            } else if answer.closes {
                let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
                written.whenComplete { _ in bound.value.close(promise: nil) }
            }
        }

        private func send(_ flood: String, context: ChannelHandlerContext) {
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: flood))).whenSuccess {
                let (handler, context) = bound.value
                handler.server.state.withLock { $0.flooded += flood.utf8.count }
                handler.send(flood, context: context)
            }
        }

        func channelInactive(context: ChannelHandlerContext) {
            server.state.withLock { $0.closed += 1 }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }
}
