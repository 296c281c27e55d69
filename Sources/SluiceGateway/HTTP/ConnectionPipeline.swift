// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTP2
import NIOSSL
import SluiceRedis

/// The handlers of one accepted connection, from the socket to the requests:
///
///     [proxy header] ─ [TLS] ─ guard ─ negotiator ─▶ HTTP/1 decoder ─ pipelining ─ request handler
///                                                └─▶ HTTP/2 ─ manager ─ errors, and for each stream: codec ─ request handler
package struct ConnectionPipeline: Sendable {
    /// A peer that is there answers a ping: `TCP_USER_TIMEOUT` sees only what is not acknowledged.
    private static let pingInterval = TimeAmount.seconds(60)
    private static let pingTimeout = TimeAmount.seconds(20)
    /// What one HTTP/2 stream may have waiting here for its window, in bytes; beyond it the stream is a slow reader.
    private static let streamBufferBytes = 32 << 10
    private static let bodyWindowBytes = 64 << 10
    /// Empty DATA frames in a row that end nothing: some proxies send a few.
    private static let emptyDataFramesMax = 100

    /// Everybody's connections, which are counted and limited; not the operator's.
    let isPublic: Bool
    /// nil: plaintext.
    let certificate: TLSFiles?
    let expectsProxyHeader: Bool
    let limits: ConnectionLimits
    let admission: ConnectionAdmission
    let requests: RequestRules
    let counters: Counters
    let logger: Logger

    /// To be called on the shard's loop.
    package func add(to channel: any Channel, shard: Shard) throws {
        let peer = channel.remoteAddress.flatMap { NetworkAddress($0) }
        let watch = ConnectionGuard(
            limits: limits, admission: admission, counters: counters, eventLoop: channel.eventLoop, peer: peer,
            turns: shard.turns, isPublic: isPublic, isTLS: certificate != nil)
        // Before anything is made for it: many that are refused at once must not hold up the streams. Behind a proxy it is
        // the proxy's header that says whose connection it is.
        if !expectsProxyHeader, !watch.admit() { return channel.close(promise: nil) }
        do {
            try add(watch, to: channel, peer: peer, shard: shard)
        } catch {
            // It never got into the pipeline, so nothing removes it from there.
            watch.leave()
            throw error
        }
    }

    private func add(
        _ watch: ConnectionGuard, to channel: any Channel, peer: NetworkAddress?, shard: Shard
    ) throws {
        let isTLS = certificate != nil
        let pipeline = channel.pipeline.syncOperations
        if expectsProxyHeader {
            // Whoever writes the header says whose connection it is: a list of proxies is a list of those who may.
            guard admission.proxies.isEmpty || peer.map(admission.proxies.isTrusted) == true else {
                refused(peer, reason: "it is no --trusted-proxy", shard: shard)
                return channel.close(promise: nil)
            }
            try pipeline.addHandler(
                ProxyHeaderHandler { [self] reason in refused(peer, reason: reason, shard: shard) })
        }
        if let certificate { try pipeline.addHandler(NIOSSLServerHandler(context: certificate.context)) }
        let negotiator = ProtocolNegotiator(isTLS: isTLS) { [self, unowned channel, unowned watch] version in
            switch version {
            case .http1: try addHTTP1(to: channel, watch: watch, shard: shard)
            case .http2: try addHTTP2(to: channel, watch: watch, shard: shard)
            }
        }
        try pipeline.addHandlers([watch, negotiator])
        shard.watch(watch)
        if isPublic, !admission.hasRoom(for: peer, now: shard.eventLoop.now) { channel.close(promise: nil) }
    }

    /// A load balancer that isn't set up as the node expects would otherwise be hard to find.
    private func refused(_ peer: NetworkAddress?, reason: String, shard: Shard) {
        counters.connectionsRefused.add(1)
        guard shard.complaints.isDue("proxy", now: shard.eventLoop.now) else { return }
        logger.warning(
            "a connection without the header of a proxy is refused",
            metadata: ["peer": "\(peer.map(\.description) ?? "unknown")", "reason": "\(reason)"])
    }

    /// HTTP/1 as NIO has it, with limits that suit strangers.
    private func addHTTP1(to channel: any Channel, watch: ConnectionGuard, shard: Shard) throws {
        var decoding = NIOHTTPDecoderLimitConfiguration()
        // To the decoder the target is a field, too; the request handler tells which of them is too long.
        decoding.maxHeaderFieldSize = limits.headerListBytesMax
        decoding.maxHeaderListSize = limits.headerListBytesMax
        decoding.maxHeaderFieldCount = limits.headerCountMax
        // Every answer says its length itself, and the answer to HEAD for a stream has none.
        var encoding = HTTPResponseEncoder.Configuration()
        encoding.automaticallySetFramingHeaders = false
        let encoder = HTTPResponseEncoder(configuration: encoding)
        let decoder = ByteToMessageHandler(
            HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes, limitConfiguration: decoding))
        let pipelining = HTTPServerPipelineHandler()
        let handler = RequestHandler(
            rules: requests, shard: shard,
            transport: .http1(isPlain: certificate == nil, companions: [pipelining, decoder, encoder]), watch: watch)
        try channel.pipeline.syncOperations.addHandlers([encoder, decoder, pipelining, handler])
    }

    private func addHTTP2(to channel: any Channel, watch: ConnectionGuard, shard: Shard) throws {
        watch.becameHTTP2()
        // GOAWAY and pings. It knows of idleness, too, but waits for an answer then, and strangers may give none.
        let manager = NIOHTTP2ServerConnectionManagementHandler(
            eventLoop: channel.eventLoop,
            configuration: .init(
                maxIdleTime: nil, maxAge: nil, maxGraceTime: limits.drain + ConnectionGuard.farewell,
                keepalive: .init(
                    pingInterval: ConnectionPipeline.pingInterval, ackTimeout: ConnectionPipeline.pingTimeout)))
        let errors = ConnectionErrorHandler(
            allowance: HTTP2Allowance(streamsMax: limits.http2StreamsMax, now: channel.eventLoop.now))
        let bound = NIOLoopBound((shard: shard, watch: watch, errors: errors), eventLoop: channel.eventLoop)
        let handler = NIOHTTP2Handler(
            mode: .server, eventLoop: channel.eventLoop, connectionConfiguration: connectionConfiguration,
            streamConfiguration: streamConfiguration, streamDelegate: OrderedStreamDelegate(manager.http2StreamDelegate)
        ) { [requests] child in
            child.eventLoop.makeCompletedFuture {
                let (shard, watch, errors) = bound.value
                watch.streamOpened()
                if let id = try child.syncOptions?.getOption(HTTP2StreamChannelOptions.streamID) {
                    errors.streamOpened(id)
                }
                child.closeFuture.whenComplete { _ in bound.value.watch.streamClosed() }
                let handler = RequestHandler(rules: requests, shard: shard, transport: .http2, watch: watch)
                try child.pipeline.syncOperations.addHandlers([
                    FieldUnifier(), HTTP2FramePayloadToHTTP1ServerCodec(), handler,
                ])
            }
        }
        try channel.pipeline.syncOperations.addHandlers([
            FlushCollector(), handler, manager, errors,
        ])
        shard.joined(channel)
    }

    private var connectionConfiguration: NIOHTTP2Handler.ConnectionConfiguration {
        var connection = NIOHTTP2Handler.ConnectionConfiguration()
        connection.initialSettings = [
            HTTP2Setting(parameter: .maxConcurrentStreams, value: limits.http2StreamsMax),
            HTTP2Setting(parameter: .maxHeaderListSize, value: limits.headerListBytesMax),
        ]
        connection.targetWindowSize = ConnectionPipeline.bodyWindowBytes
        connection.maximumSequentialEmptyDataFrames = ConnectionPipeline.emptyDataFramesMax
        // What is still under way for a stream that was reset and forgotten breaks the whole connection: all that a client
        // may have open can be refused while their bodies are on the way.
        connection.maximumRecentlyResetStreams = max(256, limits.http2StreamsMax * 2)
        // Empty windows: HTTP2Allowance counts what NIO would, and tells the peer what was taken, which NIO does not.
        connection.controlFrameRateLimit.maximumCount = 1
        connection.controlFrameRateLimit.windowLength = .nanoseconds(-1)
        connection.maximumConnectionGlitches = .max
        return connection
    }

    private var streamConfiguration: NIOHTTP2Handler.StreamConfiguration {
        var stream = NIOHTTP2Handler.StreamConfiguration()
        stream.outboundBufferSizeHighWatermark = ConnectionPipeline.streamBufferBytes
        stream.outboundBufferSizeLowWatermark = ConnectionPipeline.streamBufferBytes / 2
        stream.targetWindowSize = ConnectionPipeline.bodyWindowBytes
        stream.streamResetFrameRateLimit.maximumCount = 1
        stream.streamResetFrameRateLimit.windowLength = .nanoseconds(-1)
        stream.streamErrorRateLimit.maximumCount = 1
        stream.streamErrorRateLimit.windowLength = .nanoseconds(-1)
        return stream
    }
}
