// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// The streams of one event loop: opens them, a bounded number at a time.
///
/// Confined to its event loop.
final class Fleet {
    private static let openTimeout = TimeAmount.seconds(30)

    let tally: Tally
    private let topics: Int
    private let eventLoop: any EventLoop
    private let dialer: Dialer
    /// The numbers of the streams that are still to be opened.
    private var toOpen: StrideTo<Int>.Iterator
    private let window: Int
    private var opening = 0
    private var streams: [Subscriber] = []
    private var isStopped = false

    /// - Parameter first: of every `of` streams it has one.
    init(_ plan: Plan, marker: Marker, first: Int, of fleets: Int, on eventLoop: any EventLoop) {
        topics = plan.topics
        tally = Tally(marker)
        self.eventLoop = eventLoop
        toOpen = stride(from: first, to: plan.streams, by: fleets).makeIterator()
        window = max(1, plan.connectWindow / fleets)
        dialer = Dialer(plan, on: eventLoop)
    }

    func open() {
        tally.onSettled = { [weak self] in self?.settled() }
        while !isStopped, opening < window, let number = toOpen.next() {
            opening += 1
            let stream = Subscriber(tally, number: number, topic: number % topics)
            streams.append(stream)
            stream.expectOpening(within: Fleet.openTimeout, on: eventLoop)
            dialer.open(stream)
        }
    }

    private func settled() {
        opening -= 1
        // Not in this call: a refusal may come while the stream is still being opened.
        eventLoop.assumeIsolated().execute { self.open() }
    }

    /// Opens no more.
    func stop() { isStopped = true }

    /// What each topic's streams should have had and did not.
    func lost(published: [Int]) -> Int {
        streams.reduce(0) { sum, stream in
            stream.wasOpened ? sum + max(0, published[stream.topic] - Int(stream.checker.received)) : sum
        }
    }

    /// How many streams of each topic were opened.
    func openedOfTopic() -> [Int] {
        var result = [Int](repeating: 0, count: topics)
        for stream in streams where stream.wasOpened { result[stream.topic] += 1 }
        return result
    }
}

@available(*, unavailable)
extension Fleet: Sendable {}
