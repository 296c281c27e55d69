// SPDX-License-Identifier: Apache-2.0
import Histogram
import NIOCore

/// What the streams of one event loop report, added up, and what else they share. Confined to its event loop.
final class Tally {
    /// For a read that is too large for a stream's own buffer.
    let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 * 1024, alignment: 16)
    let marker: Marker
    var counts = Counts()
    /// From the moment before a message goes to the publisher's socket to the read that brings it, in nanoseconds.
    private(set) var latency = Tally.emptyLatency
    /// One more stream is open, or was refused.
    var onSettled: () -> Void = {}

    /// Up to an hour, to three digits.
    static var emptyLatency: Histogram<UInt64> {
        Histogram(highestTrackableValue: 3_600_000_000_000, numberOfSignificantValueDigits: .three)
    }

    init(_ marker: Marker) {
        self.marker = marker
    }

    deinit {
        scratch.deallocate()
    }

    func opened() {
        counts.opened += 1
        onSettled()
    }

    func refused(_ reason: String) {
        counts.refused += 1
        counts.firstProblem = counts.firstProblem ?? reason
        onSettled()
    }

    func closed(_ reason: String) {
        counts.closed += 1
        counts.firstProblem = counts.firstProblem ?? reason
    }

    @inline(__always)
    func delivered(_ verdict: SequenceChecker.Verdict, latency: UInt64, now: NIODeadline) {
        switch verdict {
        case .inOrder: break
        case .outOfOrder: counts.outOfOrder += 1
        case .duplicate:
            counts.duplicates += 1
            return
        }
        counts.deliveries += 1
        counts.lastArrival = now
        self.latency.record(latency)
    }
}

@available(*, unavailable)
extension Tally: Sendable {}
