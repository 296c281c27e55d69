// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import Synchronization

/// A port whose connections go to another one, which can be changed: a name that leads to whichever server is the master.
package final class Relay: Sendable {
    private final class State: Sendable {
        let port: Mutex<Int>
        let connections = Mutex<[any Channel]>([])

        init(port: Int) {
            self.port = Mutex(port)
        }
    }

    private final class Pipe: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer
        private let other: any Channel
        private let delay: TimeAmount

        init(to other: any Channel, delay: TimeAmount = .zero) {
            self.other = other
            self.delay = delay
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = unwrapInboundIn(data)
            if delay == .zero { return other.writeAndFlush(bytes, promise: nil) }
            let other = other
            context.eventLoop.scheduleTask(in: delay) { other.writeAndFlush(bytes, promise: nil) }
        }

        func channelInactive(context: ChannelHandlerContext) {
            other.close(promise: nil)
        }
    }

    private let state: State
    private let listener: any Channel

    /// - Parameter delay: of all that the server says.
    package init(to port: Int, delay: TimeAmount = .zero) async throws {
        let state = State(port: port)
        self.state = state
        listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton.any())
            .childChannelInitializer { Relay.join($0, state, delay) }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    deinit {
        listener.close(promise: nil)
        for connection in state.connections.withLock({ $0 }) { connection.close(promise: nil) }
    }

    package var port: Int { listener.localAddress?.port ?? 0 }

    package var url: String { "redis://127.0.0.1:\(port)" }

    /// Ends all connections; new ones go to this port.
    package func lead(to port: Int) {
        state.port.withLock { $0 = port }
        for connection in state.connections.withLock({ $0 }) { connection.close(promise: nil) }
        state.connections.withLock { $0.removeAll { !$0.isActive } }
    }

    /// What the client sends waits until there is somebody to take it.
    private static func join(_ client: any Channel, _ state: State, _ delay: TimeAmount) -> EventLoopFuture<Void> {
        state.connections.withLock { $0.append(client) }
        return ClientBootstrap(group: client.eventLoop)
            .channelInitializer { $0.pipeline.addHandler(Pipe(to: client, delay: delay)) }
            .connect(host: "127.0.0.1", port: state.port.withLock { $0 })
            .flatMap { server in client.pipeline.addHandler(Pipe(to: server)) }
    }
}
