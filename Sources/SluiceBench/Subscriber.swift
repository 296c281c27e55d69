// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOCore

/// One stream, as its client: looks for marks in the bytes that a handler gives it, and keeps a few words about itself.
///
/// No strings, no buffer of its own: an event costs a search in the bytes that came.
final class Subscriber {
    private enum Phase: UInt8 {
        case opening
        case live
        case ended
    }

    let number: Int
    let topic: Int
    private(set) var checker = SequenceChecker()
    /// It was open, whatever became of it.
    private(set) var wasOpened = false
    private let tally: Tally
    private var phase = Phase.opening
    private var body = ChunkedBody(isChunked: false)
    private var scanner = MarkerScanner()
    private var timer: Scheduled<Void>?
    private var channel: (any Channel)?

    init(_ tally: Tally, number: Int, topic: Int) {
        self.tally = tally
        self.number = number
        self.topic = topic
    }

    /// For large reads; lives as long as the stream.
    var scratch: UnsafeMutableRawBufferPointer { tally.scratch }
    var isOpening: Bool { phase == .opening }
    var hasEnded: Bool { phase == .ended }

    /// Gives the stream so long to open, from now.
    func expectOpening(within timeout: TimeAmount, on eventLoop: any EventLoop) {
        timer = eventLoop.assumeIsolated().scheduleTask(in: timeout) { self.fail("no response in time") }
    }

    /// - Parameter channel: is closed when the stream ends.
    func connected(_ channel: any Channel) {
        // Its time may have come before the connection.
        if phase == .ended { return channel.close(promise: nil) }
        self.channel = channel
    }

    /// The head of the response has come, and it is that of an event stream.
    func opened(isChunked: Bool) {
        guard phase == .opening else { return }
        body = ChunkedBody(isChunked: isChunked)
        phase = .live
        wasOpened = true
        timer?.cancel()
        timer = nil
        tally.opened()
    }

    /// Takes bytes of the response's body.
    func received(_ bytes: UnsafeRawBufferPointer, now: NIODeadline) {
        guard phase == .live, !bytes.isEmpty else { return }
        tally.counts.bytes += bytes.count
        // In local variables while at work: no exclusivity checks for each event.
        var body = body
        var scanner = scanner
        var checker = checker
        do throws(ChunkedBody.Malformed) {
            let elapsed = UInt64(max(0, (now - tally.marker.start).nanoseconds))
            try body.read(bytes) { piece in
                scanner.scan(piece, run: tally.marker.run) { sequence, sent in
                    tally.delivered(checker.check(sequence), latency: elapsed > sent ? elapsed - sent : 0, now: now)
                }
            }
        } catch {
            fail("the chunks are malformed")
        }
        self.body = body
        self.scanner = scanner
        self.checker = checker
        if body.isEnded { ended() }
    }

    /// The response is over, which it should never be.
    func ended() { fail("the server ended the stream") }

    /// Only the first reason counts.
    func fail(_ reason: String) {
        switch phase {
        case .opening: tally.refused(reason)
        case .live: tally.closed(reason)
        case .ended: return
        }
        phase = .ended
        timer?.cancel()
        timer = nil
        channel?.close(promise: nil)
        channel = nil
    }
}

@available(*, unavailable)
extension Subscriber: Sendable {}
