// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHPACK
import NIOHTTP2
import NIOTLS
import SluiceWeb

/// One HTTP/2 connection of the bench, and the streams that are opened on it.
///
/// Under TLS the server must choose HTTP/2 (ALPN); in plaintext it has to know (RFC 9113 §3.3). Confined to its event
/// loop.
final class HTTP2Connection: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame

    private struct Waiting {
        let stream: Subscriber
        let request: HPACKHeaders
    }

    private enum State {
        /// Until the server's settings are there: they say how many streams it takes.
        case connecting([Waiting])
        case open(NIOHTTP2Handler.StreamMultiplexer)
        case ended(reason: String)
    }

    /// Windows that never close, in bytes, of a stream and of the connection: the bench is not to be the brake.
    private static let streamWindowBytes = 16 << 20
    private static let connectionWindowBytes = 1 << 30
    /// The connection's; the streams have no buffers of their own.
    static let readBufferBytes = 64 * 1024

    private let eventLoop: any EventLoop
    private var state = State.connecting([])
    private var channel: (any Channel)?
    private var http2: NIOHTTP2Handler?
    /// How many more streams it is to carry.
    private(set) var placesLeft: Int
    /// How many more the server takes, by its settings.
    private var serverPlacesLeft = Int.max

    init(places: Int, on eventLoop: any EventLoop) {
        placesLeft = places
        self.eventLoop = eventLoop
    }

    /// Adds the handlers of HTTP/2, and this one behind them.
    func configure(_ channel: any Channel) throws {
        var connection = NIOHTTP2Handler.ConnectionConfiguration()
        connection.initialSettings = [
            HTTP2Setting(parameter: .enablePush, value: 0),
            HTTP2Setting(parameter: .initialWindowSize, value: HTTP2Connection.streamWindowBytes),
        ]
        connection.targetWindowSize = HTTP2Connection.connectionWindowBytes
        var stream = NIOHTTP2Handler.StreamConfiguration()
        stream.targetWindowSize = HTTP2Connection.streamWindowBytes
        let http2 = NIOHTTP2Handler(
            mode: .client, eventLoop: eventLoop, connectionConfiguration: connection, streamConfiguration: stream
        ) { pushed in pushed.close() }
        self.http2 = http2
        self.channel = channel
        try channel.pipeline.syncOperations.addHandlers([http2, self])
    }

    func open(_ stream: Subscriber, request: HPACKHeaders) {
        placesLeft -= 1
        let waiting = Waiting(stream: stream, request: request)
        switch state {
        case .connecting(let others): state = .connecting(others + [waiting])
        case .open(let multiplexer): open(waiting, multiplexer)
        case .ended(let reason): fail(stream, reason)
        }
    }

    private func open(_ waiting: Waiting, _ multiplexer: NIOHTTP2Handler.StreamMultiplexer) {
        // NIO would keep it back until another stream ends.
        guard serverPlacesLeft > 0 else {
            return fail(waiting.stream, "the server takes fewer streams of a connection")
        }
        serverPlacesLeft -= 1
        let bound = NIOLoopBound(waiting, eventLoop: eventLoop)
        multiplexer.createStreamChannel { channel in
            channel.eventLoop.makeCompletedFuture {
                let waiting = bound.value
                let handler = HTTP2Handler(waiting.stream, request: waiting.request)
                try channel.pipeline.syncOperations.addHandler(handler)
            }
        }.whenFailure { bound.value.stream.fail(NetworkError.reason($0)) }
    }

    /// Not in this call: the stream is still being opened.
    private func fail(_ stream: Subscriber, _ reason: String) {
        eventLoop.assumeIsolated().execute { stream.fail(reason) }
    }

    /// No stream is opened on it any more, and those that wait fail; those that are open hear of it by themselves.
    func fail(_ reason: String) {
        if case .ended = state { return }
        placesLeft = 0
        let before = state
        state = .ended(reason: reason)
        if case .connecting(let waiting) = before { for one in waiting { one.stream.fail(reason) } }
        channel?.close(promise: nil)
        channel = nil
    }

    // MARK: The connection

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted(let negotiated)? = event as? TLSUserEvent, negotiated != "h2" {
            return fail("the server does not offer HTTP/2")
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .settings(.settings(let settings)) = unwrapInboundIn(data).payload,
            case .connecting(let waiting) = state, let multiplexer = try? http2?.syncMultiplexer()
        else { return }
        serverPlacesLeft = settings.last { $0.parameter == .maxConcurrentStreams }?.value ?? .max
        state = .open(multiplexer)
        for one in waiting { open(one, multiplexer) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail("the connection was closed")
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(NetworkError.reason(error))
    }
}

@available(*, unavailable)
extension HTTP2Connection: Sendable {}
