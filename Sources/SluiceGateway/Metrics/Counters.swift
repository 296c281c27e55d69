// SPDX-License-Identifier: Apache-2.0
import SluiceRedis

/// What the node counts: written by every loop, read by whoever asks.
///
/// Each metric is declared here and nowhere else; a test says what the table in Protocol.md has to say.
package final class Counters: Sendable {
    package let streamsOpen = Gauge("streams_open", "Streams that are open now.")
    package let streamsOpened = Counter("streams_opened_total", "Streams opened.")
    package let streamsShed = Counter("streams_shed_total", "Streams sent away with a time to come back.")
    package let streamsStalled = Counter("streams_stalled_total", "Streams closed because they took nothing.")
    package let streamsOverrun = Counter("streams_overrun_total", "Streams that the ring has passed.")
    package let eventsReceived = Counter("events_received_total", "Events that came from the broker.")
    package let eventsDelivered = Counter("events_delivered_total", "Events written to streams.")
    package let eventsMalformed = Counter(
        "events_malformed_total", "Envelopes that did not parse, and ids from the future; dropped.")
    package let eventsOversized = Counter("events_oversized_total", "Events over --max-event; dropped.")
    package let targetsPaused = Counter("targets_paused_total", "Times a target brought more than --topic-bytes.")
    package let eventsRepaired = Counter("events_repaired_total", "Events whose data was not UTF-8; bytes replaced.")
    package let eventsPublished = Counter("events_published_total", "Events that were published through this node.")
    package let requestsOpen = Gauge("requests_open", "Requests that were begun and have no answer yet.")
    package let requestsRefused = Counter("requests_refused_total", "Requests answered with an error.")
    package let requestsUnauthorized = Counter("requests_unauthorized_total", "Requests answered 401.")
    package let requestsForbidden = Counter("requests_forbidden_total", "Requests answered 403.")
    package let requestsLimited = Counter(
        "requests_limited_total",
        "Requests answered 429: more than their token, or in open mode their address, may publish.")
    package let ordersMalformed = Counter(
        "orders_malformed_total", "Messages on the control channel that were dropped.")
    package let ordersUnknown = Counter(
        "orders_unknown_total",
        "Messages on the control channel, and members of them, that this version does not know; ignored.")
    package let connectionsOpen = Gauge(
        "connections_open", "Connections to the public listener, those of streams included.")
    package let connectionsOpened = Counter("connections_opened_total", "Connections to the public listener that came.")
    package let connectionsRefused = Counter(
        "connections_refused_total",
        "Connections closed at once: too many, from one address or in all, or without a proxy's header.")
    package let connectionsTimedOut = Counter(
        "connections_timed_out_total", "Connections closed because a handshake, head or body did not come.")
    package let handshakesFailed = Counter("tls_handshakes_failed_total", "TLS handshakes that failed.")
    package let tokensChecked = Counter("token_checks_total", "Signatures of tokens that were looked at.")
    package let tokenChecksShed = Counter(
        "token_checks_shed_total", "Tokens that were not checked because too many waited.")
    package let certificatesLoaded = Counter("tls_certificates_loaded_total", "Times the certificate was read anew.")
    package let shedByAddress = Counter(
        "streams_shed_address_total", "Streams sent away because of their address' limit.")
    package let shedByClient = Counter(
        "streams_shed_client_total", "Streams sent away because of their client's limit.")
    package let shedByRate = Counter("streams_shed_rate_total", "Streams sent away because of --open-rate.")
    package let shedByTopics = Counter(
        "streams_shed_topics_total", "Streams sent away because of --topic-rate or --new-topic-rate.")
    package let logReads = Counter("log_reads_total", "Pages of logs read from the broker.")
    package let repairs = Counter("repairs_total", "Times the feed had lost something and was repaired from the logs.")
    package let feedLatency = Gauge("feed_latency_microseconds", "From the publishing of the last tick to its arrival.")
    package let feedTimes = TimeHistogram(
        "feed_seconds", upTo: TimeHistogram.latencies, "From the publishing of a tick to its arrival.")
    package let gaps = Counter("gaps_total", "Gaps that streams were told of.")
    package let logLinesDropped = Counter(
        "log_lines_dropped_total", "Lines of the log that were dropped, because nobody read it.")
    package let logLinesLimited = Counter(
        "log_lines_limited_total", "Lines of the log left out: too many of one kind in a minute.")
    package let acceptsFailed = Counter(
        "accepts_failed_total", "Connections that could not be accepted, as for want of descriptors.")
    package let redisRefusals = Labelled<RedisRefusal, Counter>(
        "redis_refusals_total", "code", "Commands that Redis refused, by what it said.")

    package init() {}

    /// In the order of the page.
    package var all: [any Metric] { Mirror(reflecting: self).children.compactMap { $0.value as? any Metric } }

    /// The page for Prometheus.
    package var text: String { all.map(\.text).joined() }
}
