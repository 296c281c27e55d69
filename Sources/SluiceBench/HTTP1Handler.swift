// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOCore
import SluiceWeb

/// Opens a stream on an HTTP/1.1 connection of its own, and hands it the raw bytes of the body: there are no HTTP
/// handlers.
final class HTTP1Handler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What a stream keeps for reading. A larger read goes past it, into the scratch.
    static let readBufferBytes = 512
    static let readBufferBytesTLS = 16 * 1024

    private let stream: Subscriber
    /// For reads past NIO, of whatever a full read buffer has left in the kernel; nil with TLS.
    private let scratch: UnsafeMutableRawBufferPointer?
    private var descriptor: CInt = -1
    private var request: String
    /// Until it is whole.
    private var head: [UInt8] = []

    /// - Parameter scratch: shared by the streams of a loop; nil where the bytes on the socket are not the response's.
    init(_ stream: Subscriber, request: String, scratch: UnsafeMutableRawBufferPointer?) {
        self.stream = stream
        self.request = request
        self.scratch = scratch
    }

    func channelActive(context: ChannelHandlerContext) {
        stream.connected(context.channel)
        if scratch != nil {
            let handle = try? context.pipeline.syncOperations.withUnsafeTransportIfAvailable(
                of: NIOBSDSocket.Handle.self
            ) { $0 }
            descriptor = handle ?? -1
        }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: request)), promise: nil)
        request = ""
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let now = NIODeadline.now()
        let buffer = unwrapInboundIn(data)
        buffer.withUnsafeReadableBytes { received($0, now: now) }
        if let scratch, descriptor >= 0, buffer.writableBytes == 0 { readRest(scratch) }
    }

    /// The small buffer was full: takes the rest in large steps. An end or an error is left for NIO to find.
    private func readRest(_ scratch: UnsafeMutableRawBufferPointer) {
        while !stream.hasEnded {
            let count = recv(descriptor, scratch.baseAddress, scratch.count, CInt(MSG_DONTWAIT))
            if count <= 0 { return }
            received(UnsafeRawBufferPointer(rebasing: scratch[..<count]), now: .now())
            if count < scratch.count { return }
        }
    }

    private func received(_ bytes: UnsafeRawBufferPointer, now: NIODeadline) {
        var rest = bytes[...]
        if stream.isOpening { rest = rest.dropFirst(readHead(bytes)) }
        stream.received(UnsafeRawBufferPointer(rebasing: rest), now: now)
    }

    /// - Returns: how many of the bytes belong to the head.
    private func readHead(_ bytes: UnsafeRawBufferPointer) -> Int {
        let before = head.count
        head += bytes
        guard let length = ResponseHead.length(in: head) else {
            if head.count > ResponseHead.bytesMax { stream.fail("the response's head has no end") }
            return bytes.count
        }
        defer { head = [] }
        guard let response = ResponseHead(head[..<length]) else {
            stream.fail("the answer is not HTTP/1")
            return bytes.count
        }
        if let problem = response.problem {
            stream.fail(problem)
            return bytes.count
        }
        stream.opened(isChunked: response.isChunked)
        return length - before
    }

    func channelInactive(context: ChannelHandlerContext) {
        stream.fail("the connection was closed")
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        stream.fail(NetworkError.reason(error))
        context.close(promise: nil)
    }
}

@available(*, unavailable)
extension HTTP1Handler: Sendable {}
