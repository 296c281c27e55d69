// SPDX-License-Identifier: Apache-2.0
import Histogram
import NIOCore

/// The streams of one event loop: opens them, a bounded number at a time, and counts what they see.
///
/// Confined to its event loop.
final class BenchFleet {
    private static let openTimeout = TimeAmount.seconds(30)
    private static let scratchBytes = 256 * 1024

    let marker: BenchMarker
    var counts = BenchCounts()
    /// From the moment before a message goes to the publisher's socket to the read that brings it, in nanoseconds.
    private(set) var latency = BenchFleet.emptyLatency

    /// Up to an hour, to three digits.
    static var emptyLatency: Histogram<UInt64> {
        Histogram(highestTrackableValue: 3_600_000_000_000, numberOfSignificantValueDigits: .three)
    }

    private let plan: BenchPlan
    private let eventLoop: any EventLoop
    private let dialer: BenchDialer
    private let scratch: UnsafeMutableRawBufferPointer
    /// The numbers of this fleet's streams.
    private let numbers: StrideTo<Int>
    private var toOpen: StrideTo<Int>.Iterator
    private let window: Int
    private var opening = 0
    private var streams: [BenchStream] = []
    private var isStopped = false

    /// - Parameter first: of every `of` streams it has one.
    init(_ plan: BenchPlan, marker: BenchMarker, first: Int, of fleets: Int, on eventLoop: any EventLoop) {
        self.plan = plan
        self.marker = marker
        self.eventLoop = eventLoop
        numbers = stride(from: first, to: plan.streams, by: fleets)
        toOpen = numbers.makeIterator()
        window = max(1, plan.connectWindow / fleets)
        scratch = .allocate(byteCount: BenchFleet.scratchBytes, alignment: 16)
        dialer = BenchDialer(plan, scratch: scratch, on: eventLoop)
    }

    deinit {
        scratch.deallocate()
    }

    func open() {
        while !isStopped, opening < window, let number = toOpen.next() { open(number) }
    }

    /// Opens no more.
    func stop() {
        isStopped = true
    }

    private func open(_ number: Int) {
        opening += 1
        let stream = BenchStream(fleet: self, number: number, topic: number % plan.topics)
        streams.append(stream)
        stream.expectOpening(within: BenchFleet.openTimeout, on: eventLoop)
        dialer.open(stream)
    }

    // MARK: What the streams report

    func opened() {
        counts.opened += 1
        settled()
    }

    func refused(_ reason: String) {
        counts.refused += 1
        if counts.firstProblem == nil { counts.firstProblem = reason }
        settled()
    }

    func closed(_ reason: String) {
        counts.closed += 1
        if counts.firstProblem == nil { counts.firstProblem = reason }
    }

    private func settled() {
        opening -= 1
        // Not in this call: a refusal may come while the stream is still being opened.
        eventLoop.assumeIsolated().execute { self.open() }
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

    /// What each topic's streams should have had and did not.
    func lost(published: [Int]) -> Int {
        streams.reduce(0) { sum, stream in
            stream.wasOpened ? sum + max(0, published[stream.topic] - Int(stream.checker.received)) : sum
        }
    }

    /// How many streams of each topic were opened.
    func openedOfTopic() -> [Int] {
        var result = [Int](repeating: 0, count: plan.topics)
        for stream in streams where stream.wasOpened { result[stream.topic] += 1 }
        return result
    }
}

@available(*, unavailable)
extension BenchFleet: Sendable {}
