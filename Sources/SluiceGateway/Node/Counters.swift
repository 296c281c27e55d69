// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// What the node counts: written by every loop, read by whoever asks.
package final class Counters: Sendable {
    package let streamsOpen = Counter()
    package let streamsOpened = Counter()
    package let streamsShed = Counter()
    package let streamsStalled = Counter()
    package let streamsOverrun = Counter()
    package let eventsReceived = Counter()
    package let eventsDelivered = Counter()
    package let eventsMalformed = Counter()
    package let eventsOversized = Counter()
    package let eventsRepaired = Counter()
    package let eventsPublished = Counter()
    package let requestsRefused = Counter()
    package let acceptsFailed = Counter()
    /// From the publishing of the last tick to its arrival, in microseconds.
    package let feedLatency = Counter()
    package let logReads = Counter()
    package let repairs = Counter()
    package let gaps = Counter()

    package init() {}

    /// Name, kind and meaning of each, for the metrics page.
    package var all: [(name: String, kind: String, help: String, value: Int)] {
        [
            ("streams_open", "gauge", "Streams that are open now.", streamsOpen.value),
            ("streams_opened_total", "counter", "Streams opened.", streamsOpened.value),
            ("streams_shed_total", "counter", "Streams sent away with a time to come back.", streamsShed.value),
            ("streams_stalled_total", "counter", "Streams closed because they took nothing.", streamsStalled.value),
            ("streams_overrun_total", "counter", "Streams that the ring has passed.", streamsOverrun.value),
            ("events_received_total", "counter", "Events that came from the broker.", eventsReceived.value),
            ("events_delivered_total", "counter", "Events written to streams.", eventsDelivered.value),
            (
                "events_malformed_total", "counter", "Envelopes that did not parse, and ids from the future; dropped.",
                eventsMalformed.value
            ),
            ("events_oversized_total", "counter", "Events over --max-event; dropped.", eventsOversized.value),
            (
                "events_repaired_total", "counter", "Events whose data was not UTF-8; bytes replaced.",
                eventsRepaired.value
            ),
            (
                "events_published_total", "counter", "Events that were published through this node.",
                eventsPublished.value
            ),
            ("requests_refused_total", "counter", "Requests answered with an error.", requestsRefused.value),
            ("log_reads_total", "counter", "Pages of logs read from the broker.", logReads.value),
            (
                "repairs_total", "counter", "Times the feed had lost something and was repaired from the logs.",
                repairs.value
            ),
            (
                "feed_latency_microseconds", "gauge", "From the publishing of the last tick to its arrival.",
                feedLatency.value
            ),
            ("gaps_total", "counter", "Gaps that streams were told of.", gaps.value),
            (
                "accepts_failed_total", "counter",
                "Connections that could not be accepted, as for want of descriptors.", acceptsFailed.value
            ),
        ]
    }
}

/// One number; statistics need no order among themselves.
package struct Counter: ~Copyable, Sendable {
    private let count = Atomic<Int>(0)

    package borrowing func add(_ more: Int) {
        count.wrappingAdd(more, ordering: .relaxed)
    }

    package borrowing func set(_ value: Int) {
        count.store(value, ordering: .relaxed)
    }

    package var value: Int { count.load(ordering: .relaxed) }
}
