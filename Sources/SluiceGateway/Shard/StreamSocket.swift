// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOCore
import NIOHTTP1

/// The way out of one stream: a non-blocking `send(2)` straight on the descriptor, and NIO's channel for what that leaves
/// and for everything that has to be transformed on the way, by TLS or HTTP/2.
///
/// Measured: a delivery through NIO's `writeAndFlush` costs a third more than the kernel's own part, this a twentieth.
package struct StreamSocket {
    private enum Way {
        case descriptor(CInt)
        /// A handler transforms the bytes.
        case channel
        /// The channel is one stream of an HTTP/2 connection, with a window of its own.
        case http2
    }

    /// What a channel is given at once, in bytes: unlike the kernel it never says no.
    private static let pieceBytes = 32 << 10

    package let channel: any Channel
    private let way: Way

    /// - Parameter isPlain: nothing in the channel's pipeline transforms what is written.
    package init(channel: any Channel, isPlain: Bool) {
        self.channel = channel
        // Not by the pipeline's `withUnsafeTransportIfAvailable`, which has the runtime look a type up by its name each time: a
        // fortieth of what it costs to open a stream.
        let core = isPlain ? channel as? any NIOTransportAccessibleChannelCore : nil
        way = core.flatMap { StreamSocket.descriptor(of: $0) }.map { .descriptor($0) } ?? .channel
    }

    private static func descriptor(of core: some NIOTransportAccessibleChannelCore) -> NIOBSDSocket.Handle? {
        try? core.withUnsafeTransport { $0 as? NIOBSDSocket.Handle }
    }

    /// - Parameter channel: of one stream, whose pipeline turns the parts of an HTTP/1 response into frames.
    package init(http2 channel: any Channel) {
        self.channel = channel
        way = .http2
    }

    /// Whether `send` for raw bytes can be used.
    package var isDirect: Bool {
        if case .descriptor = way { true } else { false }
    }

    package var isHTTP2: Bool {
        if case .http2 = way { true } else { false }
    }

    /// Sends what the kernel takes at once. Only while nothing waits in the channel.
    ///
    /// A broken connection takes nothing, like a full one: the channel finds out and says so.
    ///
    /// - Returns: how many bytes were taken.
    package func send(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard case .descriptor(let descriptor) = way else { return 0 }
        let sent = Glibc.send(descriptor, bytes.baseAddress, bytes.count, CInt(MSG_DONTWAIT) | CInt(MSG_NOSIGNAL))
        return max(sent, 0)
    }

    /// The same for bytes in a buffer. A channel takes one piece, and nothing while its client is slow: what waits there
    /// for one stream is bounded, also where HTTP/2's window is closed or the whole connection is full.
    package func send(_ bytes: ByteBuffer) -> Int {
        if isDirect { return bytes.withUnsafeReadableBytes { send($0) } }
        guard channel.isWritable,
            let piece = bytes.getSlice(
                at: bytes.readerIndex, length: min(bytes.readableBytes, StreamSocket.pieceBytes))
        else { return 0 }
        write(piece, promise: nil)
        return piece.readableBytes
    }

    /// The head of an HTTP/2 stream's response; goes out with what is written next.
    package func begin(_ head: HTTPResponseHead) {
        channel.write(HTTPServerResponsePart.head(head), promise: nil)
    }

    /// Hands over what `send` did not take, in pieces.
    ///
    /// - Parameter onProgress: called for each piece that has gone out but the last.
    package func queue(_ rest: ByteBuffer, onProgress: @escaping @Sendable () -> Void) -> EventLoopFuture<Void> {
        var rest = rest
        while !isDirect, rest.readableBytes > StreamSocket.pieceBytes,
            let piece = rest.readSlice(length: StreamSocket.pieceBytes)
        {
            let promise = channel.eventLoop.makePromise(of: Void.self)
            promise.futureResult.whenSuccess(onProgress)
            write(piece, promise: promise)
        }
        let promise = channel.eventLoop.makePromise(of: Void.self)
        write(rest, promise: promise)
        return promise.futureResult
    }

    private func write(_ bytes: ByteBuffer, promise: EventLoopPromise<Void>?) {
        if isHTTP2 {
            channel.writeAndFlush(HTTPServerResponsePart.body(.byteBuffer(bytes)), promise: promise)
        } else {
            channel.writeAndFlush(bytes, promise: promise)
        }
    }

    /// Writes the last bytes of the response, and closes once they are out.
    package func finish(_ bytes: ByteBuffer) {
        let channel = channel
        let promise = channel.eventLoop.makePromise(of: Void.self)
        promise.futureResult.whenComplete { _ in channel.close(promise: nil) }
        if isHTTP2 {
            if bytes.readableBytes > 0 {
                channel.write(HTTPServerResponsePart.body(.byteBuffer(bytes)), promise: nil)
            }
            channel.writeAndFlush(HTTPServerResponsePart.end(nil), promise: promise)
        } else {
            channel.writeAndFlush(bytes, promise: promise)
        }
    }

    /// What waits in a connection's channel, in bytes.
    package var queuedBytes: Int {
        // A stream of HTTP/2 has no such option; `queue` tells of its progress.
        isHTTP2 ? 0 : (try? channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }

    package func close() {
        channel.close(promise: nil)
    }
}
