// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOCore
import SluiceGateway

/// One open stream of the bench: takes the raw bytes, looks for marks in them, and keeps a few words about itself.
///
/// No HTTP handlers, no strings, no buffer of its own: an event costs a search in the bytes that came.
final class BenchStream: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Phase: UInt8 {
        case opening
        case live
        case ended
    }

    let topic: Int
    private(set) var checker = SequenceChecker()
    private let fleet: BenchFleet
    private var phase = Phase.opening
    private var body = ChunkedBody(isChunked: false)
    private var scanner = BenchMarkerScanner()
    /// For reads past NIO, of whatever a full read buffer has left in the kernel; -1 with TLS.
    private var descriptor: CInt = -1
    /// Until the response's head is whole: the request, and what there is of the head.
    private var opening: Opening?

    private struct Opening {
        var request: String
        var head: [UInt8] = []
        var channel: (any Channel)?
        var timer: Scheduled<Void>?
    }

    init(fleet: BenchFleet, topic: Int, request: String) {
        self.fleet = fleet
        self.topic = topic
        opening = Opening(request: request)
    }

    /// It was open, whatever became of it.
    private(set) var wasOpened = false

    /// Gives the stream so long to open, from now.
    func expectOpening(within timeout: TimeAmount, on eventLoop: any EventLoop) {
        opening?.timer = eventLoop.assumeIsolated().scheduleTask(in: timeout) { self.fail("no response in time") }
    }

    // MARK: Opening

    func channelActive(context: ChannelHandlerContext) {
        guard let request = opening?.request else { return context.close(promise: nil) }
        opening?.channel = context.channel
        if fleet.readsDirectly {
            let handle = try? context.pipeline.syncOperations.withUnsafeTransportIfAvailable(
                of: NIOBSDSocket.Handle.self
            ) { $0 }
            descriptor = handle ?? -1
        }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: request)), promise: nil)
    }

    func fail(_ reason: String) {
        switch phase {
        case .opening: fleet.refused(reason)
        case .live: fleet.closed(reason)
        case .ended: return
        }
        phase = .ended
        opening?.timer?.cancel()
        let channel = opening?.channel
        opening = nil
        channel?.close(promise: nil)
    }

    /// - Returns: how many of the bytes belong to the head.
    private func readHead(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard var head = opening?.head else { return bytes.count }
        opening?.head = []
        let before = head.count
        head += bytes
        guard let length = BenchResponseHead.length(in: head) else {
            if head.count > BenchResponseHead.bytesMax { fail("the response's head has no end") }
            opening?.head = head
            return bytes.count
        }
        guard let response = BenchResponseHead(head[..<length]) else {
            fail("the answer is not HTTP/1")
            return bytes.count
        }
        guard response.status == 200, response.isEventStream else {
            let line = head.prefix { $0 != UInt8(ascii: "\r") }.prefix(100)
            fail(response.status == 200 ? "the answer is no event stream" : "\(String(decoding: line, as: UTF8.self))")
            return bytes.count
        }
        body = ChunkedBody(isChunked: response.isChunked)
        phase = .live
        wasOpened = true
        opening?.timer?.cancel()
        opening = nil
        fleet.opened()
        return length - before
    }

    // MARK: Reading

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let now = NIODeadline.now()
        let buffer = unwrapInboundIn(data)
        buffer.withUnsafeReadableBytes { received($0, now: now) }
        if descriptor >= 0, buffer.writableBytes == 0 { readRest() }
        if body.isEnded { fail("the server ended the stream") }
        if phase == .ended { context.close(promise: nil) }
    }

    /// The small buffer was full: takes the rest in large steps. An end or an error is left for NIO to find.
    private func readRest() {
        while phase != .ended {
            let count = recv(descriptor, fleet.scratch.baseAddress, fleet.scratch.count, CInt(MSG_DONTWAIT))
            if count <= 0 { return }
            received(UnsafeRawBufferPointer(rebasing: fleet.scratch[..<count]), now: .now())
            if count < fleet.scratch.count { return }
        }
    }

    private func received(_ bytes: UnsafeRawBufferPointer, now: NIODeadline) {
        var rest = bytes[...]
        if phase == .opening { rest = rest.dropFirst(readHead(bytes)) }
        guard phase == .live, !rest.isEmpty else { return }
        fleet.counts.bytes += rest.count
        // In local variables while at work: no exclusivity checks for each event.
        var body = body
        var scanner = scanner
        var checker = checker
        do throws(ChunkedBody.Malformed) {
            let elapsed = UInt64(max(0, (now - fleet.marker.start).nanoseconds))
            try body.read(UnsafeRawBufferPointer(rebasing: rest)) { piece in
                scanner.scan(piece, run: fleet.marker.run) { sequence, sent in
                    fleet.delivered(checker.check(sequence), latency: elapsed > sent ? elapsed - sent : 0, now: now)
                }
            }
        } catch {
            fail("the chunks are malformed")
        }
        self.body = body
        self.scanner = scanner
        self.checker = checker
    }

    // MARK: Ends

    func channelInactive(context: ChannelHandlerContext) {
        fail("the connection was closed")
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(NetworkError.reason(error))
        context.close(promise: nil)
    }
}

@available(*, unavailable)
extension BenchStream: Sendable {}
