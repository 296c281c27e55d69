// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// One stream under test: a bare handler that reads the response's head once and then only looks for markers.
final class BenchStream: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private static let headBytesMax = 16_384

    private enum Phase {
        case head(ByteBuffer)
        case open
        case closed
    }

    private let group: BenchStreams
    private let number: Int
    private var phase = Phase.head(ByteBuffer())
    private var body = BenchBody(isChunked: false)
    private var scanner = BenchMarkerScanner()
    private(set) var sequence = BenchSequence()
    /// Was answered with 200, whatever came after.
    private(set) var wasOpened = false

    /// - Parameter number: what `{i}` stands for in the URL.
    init(group: BenchStreams, number: Int) {
        self.group = group
        self.number = number
    }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(group.request(number: number)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        switch phase {
        case .closed: return
        case .head(var head):
            head.writeBuffer(&bytes)
            guard let rest = readHead(head) else {
                if case .closed = phase { context.close(promise: nil) }
                return
            }
            receive(rest, context: context)
        case .open: receive(bytes, context: context)
        }
    }

    private func receive(_ bytes: ByteBuffer, context: ChannelHandlerContext) {
        let now = NIODeadline.now().uptimeNanoseconds
        group.bytes += bytes.readableBytes
        bytes.withUnsafeReadableBytes { all in
            var rest = all[...]
            while let piece = body.next(&rest) {
                scanner.scan(piece) { marker in
                    guard marker.run == group.plan.run else { return }
                    group.received(sequence.receive(marker.sequence), sent: marker.nanoseconds, now: now)
                }
            }
        }
        if body.isEnded { context.close(promise: nil) }
    }

    /// - Returns: what follows the head, once it is complete and says 200.
    private func readHead(_ bytes: ByteBuffer) -> ByteBuffer? {
        let view = bytes.readableBytesView
        guard let end = BenchStream.headEnd(view) else {
            phase = .head(bytes)
            if bytes.readableBytes > BenchStream.headBytesMax { refuse("the response's head is too long") }
            return nil
        }
        let lines = String(decoding: view[..<end], as: UTF8.self).split(whereSeparator: \.isNewline)
        let words = lines.first?.split(separator: " ") ?? []
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), words[1] == "200" else {
            let body = String(decoding: view[end...].prefix(200), as: UTF8.self)
            refuse("\(lines.first ?? "no status line"): \(body)")
            return nil
        }
        let isChunked = lines.contains {
            let line = $0.lowercased()
            return line.hasPrefix("transfer-encoding:") && line.hasSuffix("chunked")
        }
        body = BenchBody(isChunked: isChunked)
        phase = .open
        wasOpened = true
        group.opened()
        return bytes.getSlice(at: end, length: view.endIndex - end) ?? ByteBuffer()
    }

    private static func headEnd(_ view: ByteBufferView) -> Int? {
        var start = view.startIndex
        while let lineEnd = view[start...].firstIndex(of: UInt8(ascii: "\n")) {
            let length = lineEnd - start
            if start > view.startIndex, length == 0 || length == 1 { return lineEnd + 1 }
            start = lineEnd + 1
        }
        return nil
    }

    private func refuse(_ reason: String) {
        phase = .closed
        group.refused(reason)
    }

    func channelInactive(context: ChannelHandlerContext) {
        switch phase {
        case .head: refuse("the connection ended without a response")
        case .open:
            phase = .closed
            group.closed()
        case .closed: break
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if case .head = phase { refuse(Console.reason(of: error)) }
        context.close(promise: nil)
    }
}

@available(*, unavailable)
extension BenchStream: Sendable {}
