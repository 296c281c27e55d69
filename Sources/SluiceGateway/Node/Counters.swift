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
    package let targetsPaused = Counter()
    package let eventsRepaired = Counter()
    package let eventsPublished = Counter()
    package let requestsRefused = Counter()
    package let requestsUnauthorized = Counter()
    package let requestsForbidden = Counter()
    package let requestsLimited = Counter()
    package let ordersMalformed = Counter()
    package let requestsOpen = Counter()
    package let connectionsOpen = Counter()
    package let connectionsOpened = Counter()
    package let connectionsRefused = Counter()
    package let connectionsTimedOut = Counter()
    package let handshakesFailed = Counter()
    package let shedByAddress = Counter()
    package let shedByClient = Counter()
    package let shedByRate = Counter()
    package let shedByTopics = Counter()
    package let tokensChecked = Counter()
    package let tokenChecksShed = Counter()
    package let certificatesLoaded = Counter()
    package let acceptsFailed = Counter()
    /// From the publishing of the last tick to its arrival, in microseconds.
    package let feedLatency = Counter()
    package let logReads = Counter()
    package let repairs = Counter()
    package let gaps = Counter()
    private let redisRefusals = Mutex<[RedisRefusal: Int]>([:])
    package let logLinesDropped = Counter()
    package let logLinesLimited = Counter()

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
                "targets_paused_total", "counter", "Times a target brought more than --topic-bytes.",
                targetsPaused.value
            ),
            (
                "events_repaired_total", "counter", "Events whose data was not UTF-8; bytes replaced.",
                eventsRepaired.value
            ),
            (
                "events_published_total", "counter", "Events that were published through this node.",
                eventsPublished.value
            ),
            ("requests_open", "gauge", "Requests that were begun and have no answer yet.", requestsOpen.value),
            ("requests_refused_total", "counter", "Requests answered with an error.", requestsRefused.value),
            ("requests_unauthorized_total", "counter", "Requests answered 401.", requestsUnauthorized.value),
            ("requests_forbidden_total", "counter", "Requests answered 403.", requestsForbidden.value),
            (
                "requests_limited_total", "counter", "Requests answered 429: more than their token may publish.",
                requestsLimited.value
            ),
            (
                "orders_malformed_total", "counter", "Messages on the control channel that were dropped.",
                ordersMalformed.value
            ),
            (
                "connections_open", "gauge", "Connections to the public listener, those of streams included.",
                connectionsOpen.value
            ),
            (
                "connections_opened_total", "counter", "Connections to the public listener that came.",
                connectionsOpened.value
            ),
            (
                "connections_refused_total", "counter",
                "Connections closed at once: too many, from one address or in all, or without a proxy's header.",
                connectionsRefused.value
            ),
            (
                "connections_timed_out_total", "counter",
                "Connections closed because a handshake, head or body did not come.",
                connectionsTimedOut.value
            ),
            ("tls_handshakes_failed_total", "counter", "TLS handshakes that failed.", handshakesFailed.value),
            ("token_checks_total", "counter", "Signatures of tokens that were looked at.", tokensChecked.value),
            (
                "token_checks_shed_total", "counter", "Tokens that were not checked because too many waited.",
                tokenChecksShed.value
            ),
            (
                "tls_certificates_loaded_total", "counter", "Times the certificate was read anew.",
                certificatesLoaded.value
            ),
            (
                "streams_shed_address_total", "counter", "Streams sent away because of their address' limit.",
                shedByAddress.value
            ),
            (
                "streams_shed_client_total", "counter", "Streams sent away because of their client's limit.",
                shedByClient.value
            ),
            ("streams_shed_rate_total", "counter", "Streams sent away because of --open-rate.", shedByRate.value),
            (
                "streams_shed_topics_total", "counter",
                "Streams sent away because of --topic-rate or --new-topic-rate.", shedByTopics.value
            ),
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
                "log_lines_dropped_total", "counter", "Lines of the log that were dropped, because nobody read it.",
                logLinesDropped.value
            ),
            (
                "log_lines_limited_total", "counter", "Lines of the log left out: too many of one kind in a minute.",
                logLinesLimited.value
            ),
            (
                "accepts_failed_total", "counter",
                "Connections that could not be accepted, as for want of descriptors.", acceptsFailed.value
            ),
        ] + refusals
    }

    package func count(_ refusal: RedisRefusal) {
        redisRefusals.withLock { $0[refusal, default: 0] += 1 }
    }

    private var refusals: [(name: String, kind: String, help: String, value: Int)] {
        redisRefusals.withLock { counts in
            RedisRefusal.allCases.compactMap { refusal in
                counts[refusal].map {
                    (
                        "redis_refusals_total{code=\"\(refusal.rawValue)\"}", "counter",
                        "Commands that Redis refused, by what it said.", $0
                    )
                }
            }
        }
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
