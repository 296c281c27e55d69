// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import SluiceWeb

/// Makes the connections of one event loop, for streams over HTTP/1.1 one each, over HTTP/2 one for many.
///
/// Confined to its event loop.
final class Dialer {
    /// linux/in.h: the port is chosen when the destination is known, so that each source address has all ports.
    private static let bindAddressNoPort = NIOBSDSocket.Option(rawValue: 24)

    private let plan: Plan
    private let eventLoop: any EventLoop
    /// HTTP/2: of each server the connection that has places left.
    private var connections: [Int: HTTP2Connection] = [:]

    init(_ plan: Plan, on eventLoop: any EventLoop) {
        self.plan = plan
        self.eventLoop = eventLoop
    }

    func open(_ stream: Subscriber) {
        let index = stream.number % plan.servers.count
        let server = plan.servers[index]
        guard let places = plan.streamsPerConnection else { return openHTTP1(stream, server) }
        let free = connections[index].flatMap { $0.placesLeft > 0 ? $0 : nil }
        let connection = free ?? connectHTTP2(server, number: stream.number, places: places)
        connections[index] = connection
        connection.open(stream, request: server.fields(stream))
    }

    private func openHTTP1(_ stream: Subscriber, _ server: Server) {
        // Under TLS the bytes on the socket are not the stream's.
        let isPlain = !server.dialer.address.usesTLS
        let handler = HTTP1Handler(stream, request: server.text(stream), scratch: isPlain ? stream.scratch : nil)
        let bound = NIOLoopBound((stream: stream, handler: handler), eventLoop: eventLoop)
        let readBufferBytes = isPlain ? HTTP1Handler.readBufferBytes : HTTP1Handler.readBufferBytesTLS
        let readsAtATime: UInt = isPlain ? 1 : 4
        bootstrap(server, number: stream.number, readBufferBytes: readBufferBytes) { channel in
            try channel.pipeline.syncOperations.addHandler(bound.value.handler)
        }
        .channelOption(.maxMessagesPerRead, value: readsAtATime)
        .connect(to: server.address).whenFailure { bound.value.stream.fail(NetworkError.reason($0)) }
    }

    private func connectHTTP2(_ server: Server, number: Int, places: Int) -> HTTP2Connection {
        let connection = HTTP2Connection(places: places, on: eventLoop)
        let bound = NIOLoopBound(connection, eventLoop: eventLoop)
        bootstrap(server, number: number / places, readBufferBytes: HTTP2Connection.readBufferBytes) { channel in
            try bound.value.configure(channel)
        }
        .connect(to: server.address).whenFailure { bound.value.fail(NetworkError.reason($0)) }
        return connection
    }

    /// - Parameter number: of the connection: they take the source addresses in turn.
    private func bootstrap(
        _ server: Server, number: Int, readBufferBytes: Int,
        initializer: @escaping @Sendable (any Channel) throws -> Void
    ) -> ClientBootstrap {
        let bootstrap = server.dialer.bootstrap(on: eventLoop, initializer: initializer)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: readBufferBytes))
        guard plan.sourceAddresses > 1,
            let source = try? SocketAddress(ipAddress: "127.0.0.\(2 + number % plan.sourceAddresses)", port: 0)
        else { return bootstrap }
        return bootstrap.channelOption(
            ChannelOptions.Types.SocketOption(level: .ip, name: Dialer.bindAddressNoPort), value: 1
        ).bind(to: source)
    }
}

@available(*, unavailable)
extension Dialer: Sendable {}
