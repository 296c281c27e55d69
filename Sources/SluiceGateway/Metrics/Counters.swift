// SPDX-License-Identifier: Apache-2.0
import SluiceRedis

/// What the node counts: written by every loop, read by whoever asks.
///
/// Each metric is declared here, or in ``MetricsPage`` if nobody counts it, and nowhere else; a test says what the table in
/// Protocol.md has to say.
package final class Counters: Sendable {
    // Streams.
    package let streamsOpen = Labelled<StreamProtocol, Gauge>(
        "sluice_streams", "protocol", "Streams that are open now.")
    package let streamsOpened = Counter("sluice_streams_opened_total", "Streams opened.")
    package let streamsEnded = Labelled<StreamEnd, Counter>(
        "sluice_streams_ended_total", "reason",
        "Streams that have ended, each for one reason. Many of `client` at once: a network or a load balancer cut them."
    )
    package let streamsShed = Labelled<ShedReason, Counter>(
        "sluice_streams_shed_total", "reason",
        "Streams sent away with a time to come back, by the limit that did so: raise it, or add nodes.")
    package let streamsBehind = Gauge(
        "sluice_streams_behind",
        "Streams whose clients take less than there is for them, and are caught up from the ring.")
    package let streamsOverrun = Counter(
        "sluice_streams_overrun_total",
        "Times the ring had passed a slow stream, which went on from the logs in Redis: a larger --ring avoids it.")
    package let ringBytes = Gauge(
        "sluice_ring_bytes",
        "Memory of the newest events, kept for slow streams; grows to --ring, and all threads share it.")

    // Events.
    package let eventsReceived = Counter("sluice_events_received_total", "Events that came from Redis.")
    package let eventsDelivered = Counter(
        "sluice_events_delivered_total", "Events written to streams, one for each stream, replays among them.")
    package let eventsPublished = Counter(
        "sluice_events_published_total", "Events published through this node, one for each target.")
    package let eventsDropped = Labelled<DropReason, Counter>(
        "sluice_events_dropped_total", "reason",
        "Events from Redis that reached no stream because they are wrong; the log names the target. See who publishes them."
    )
    package let eventsInvalid = Counter(
        "sluice_events_invalid_utf8_total", "Events whose data was not UTF-8; what is wrong was replaced by U+FFFD.")
    package let targetsPaused = Counter(
        "sluice_targets_paused_total",
        "Times one target brought more than --topic-bytes; nothing of it is taken for a while.")
    package let deliveryTimes = TimeHistogram(
        "sluice_delivery_seconds", upTo: TimeHistogram.milliseconds,
        "From an event's id (the clock of Redis, to the millisecond) to the write on the socket of each live stream, by this "
            + "node's clock, so both need NTP. Without live-only events, replays and what slow streams catch up with.")
    package let gaps = Counter(
        "sluice_gaps_total",
        "Gaps that streams were told of: something may be lost for them. Logs too short, Redis lost data, or slow readers."
    )

    // The feed.
    package let feedTimes = TimeHistogram(
        "sluice_feed_seconds", upTo: TimeHistogram.latencies,
        "From the publishing of a tick, every two seconds, to its arrival: slow where Redis or the node's first loop is busy."
    )
    package let repairs = Counter(
        "sluice_repairs_total",
        "Times the feed had lost something and was repaired from the logs: after a lost connection, or a slow node.")
    package let logReads = Counter(
        "sluice_log_reads_total", "Pages of logs read from Redis, for streams that come back and for repairs.")
    package let redisRefusals = Labelled<RedisRefusal, Counter>(
        "sluice_redis_refusals_total", "code", "Commands that Redis refused, by what it said.")
    package let ordersMalformed = Counter(
        "sluice_orders_malformed_total",
        "Messages on the control channel that were dropped: somebody with rights in Redis writes nonsense there.")
    package let ordersUnknown = Counter(
        "sluice_orders_unknown_total",
        "Messages on the control channel, and members of them, that this version does not know; ignored.")

    // Requests and connections.
    package let requestsOpen = Gauge("sluice_requests", "Requests that were begun and have no answer yet.")
    package let publishesLimited = Counter(
        "sluice_publishes_limited_total",
        "Publishes refused with 429, lines of NDJSON among them: over --publish-rate or --publish-bytes.")
    package let requestsRefused = Labelled<RefusalCode, Counter>(
        "sluice_requests_refused_total", "code", "Requests answered with an error, by its HTTP status.")
    package let connectionsOpen = Gauge(
        "sluice_connections", "Connections to the public listener, those of streams included.")
    package let connectionsOpened = Counter(
        "sluice_connections_opened_total", "Connections to the public listener that came.")
    package let connectionsRefused = Counter(
        "sluice_connections_refused_total",
        "Connections closed at once: over a limit, or without the header of a --trusted-proxy. The log says which.")
    package let connectionsTimedOut = Counter(
        "sluice_connections_timed_out_total", "Connections closed because a handshake, head or body did not come.")
    package let acceptsFailed = Counter(
        "sluice_accepts_failed_total",
        "Connections that could not be accepted, mostly for want of descriptors: raise their limit.")
    package let handshakesFailed = Counter("sluice_tls_handshakes_failed_total", "TLS handshakes that failed.")
    package let certificatesLoaded = Counter(
        "sluice_tls_certificates_loaded_total", "Times the certificate was read anew.")
    package let tokensChecked = Counter("sluice_token_checks_total", "Signatures of tokens that were looked at.")
    package let tokenChecksShed = Counter(
        "sluice_token_checks_shed_total",
        "Tokens that were not checked because too many waited: more new ones come than half of the cores can check.")

    // The log.
    package let logLinesDropped = Labelled<LogLoss, Counter>(
        "sluice_log_lines_dropped_total", "reason",
        "Lines of the log that were left out, so it does not say everything.")

    package init() {}

    /// In the order of the page.
    package var all: [any Metric] { Mirror(reflecting: self).children.compactMap { $0.value as? any Metric } }
}
