// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import SluiceCore

/// One request and its response, on a connection of its own.
struct HTTPExchange: Sendable {
    /// The pieces of a response's body, as they arrive.
    struct Body {
        fileprivate var parts: NIOAsyncChannelInboundStream<HTTPClientResponsePart>.AsyncIterator

        /// nil at the body's end.
        mutating func next() async throws -> ByteBuffer? {
            guard case .body(let bytes) = try await parts.next() else { return nil }
            return bytes
        }

        /// The whole of it, cut off after `bytesMax`.
        mutating func text(bytesMax: Int) async throws -> String {
            var whole = ByteBuffer()
            while whole.readableBytes < bytesMax, var piece = try await next() { whole.writeBuffer(&piece) }
            return String(buffer: whole)
        }
    }

    /// The server went away before it answered.
    struct NoResponse: Error, CustomStringConvertible {
        let description = "the connection ended without a response"
    }

    private typealias Channel = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

    var method = HTTPMethod.GET
    var url: HTTPURL
    var headers: [(String, String)] = []
    var body: ByteBuffer?

    func perform<Result: Sendable>(
        _ handle: @Sendable (HTTPResponseHead, inout Body) async throws -> Result
    ) async throws -> Result {
        let channel = try await connect()
        return try await channel.executeThenClose { inbound, outbound in
            var head = HTTPRequestHead(version: .http1_1, method: method, uri: url.target)
            head.headers.add(name: "Host", value: url.authority)
            head.headers.add(name: "User-Agent", value: "sluice")
            head.headers.add(name: "Connection", value: "close")
            for (name, value) in headers { head.headers.add(name: name, value: value) }
            if let body { head.headers.add(name: "Content-Length", value: String(body.readableBytes)) }
            try await outbound.write(.head(head))
            if let body { try await outbound.write(.body(.byteBuffer(body))) }
            try await outbound.write(.end(nil))
            var parts = inbound.makeAsyncIterator()
            while let part = try await parts.next() {
                guard case .head(let response) = part, response.status.code >= 200 else { continue }
                var body = Body(parts: parts)
                return try await handle(response, &body)
            }
            throw NoResponse()
        }
    }

    private func connect() async throws -> Channel {
        let context = try url.tlsContext()
        return try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(.seconds(5))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .connect(host: url.host, port: url.port) { [url] channel in
                channel.eventLoop.makeCompletedFuture {
                    if let context { try channel.pipeline.syncOperations.addHandler(url.tlsHandler(context)) }
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    return try Channel(wrappingChannelSynchronously: channel)
                }
            }
    }

    /// What an answer other than the wished-for one says: the `message` of the gateway's JSON, or else its first line.
    static func problem(status: HTTPResponseStatus, body: String) -> String {
        var text = body.split(whereSeparator: \.isNewline).first.map { String($0.prefix(200)) } ?? ""
        if let members = try? JSONText.object(body), case .string(let message)? = members["message"]?.value {
            text = message
        }
        return "\(status.code) \(status.reasonPhrase)" + (text.isEmpty ? "" : ": \(text)")
    }

    static func authorization(_ token: String?) -> [(String, String)] {
        token.map { [("Authorization", "Bearer \($0)")] } ?? []
    }
}
