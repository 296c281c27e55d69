// SPDX-License-Identifier: Apache-2.0
import DequeModule
import NIOCore

/// The logs, the clock and the markers of a single node without Redis, with the meaning that the Redis function gives them.
///
/// No clock of its own: the time, in milliseconds since 1970, is an argument.
package struct MemoryLogs {
    private struct Log {
        var entries: Deque<LogEntry> = []
        var expiry: UInt64
    }

    private struct Marker {
        var id: EventID
        var ends: Bool
        var expiry: UInt64
    }

    private struct FirstResult {
        var receipt: Receipt
        var expiry: UInt64
    }

    private struct Once: Hashable {
        var target: Target
        var token: ExactText
    }

    private static let day: UInt64 = 86_400_000
    private static let onceLife: UInt64 = 300_000
    /// Of a log whose publisher doesn't say, as in the Redis function.
    private static let maxlenStandard = 1000
    private static let ttlStandard = 3600
    /// What an entry counts beside its data, as in the Redis function.
    private static let entryOverhead = 64

    private var logs: [Target: Log] = [:]
    private var markers: [Target: Marker] = [:]
    private var results: [Once: FirstResult] = [:]
    /// The newest id given out, or a later time.
    package private(set) var clock = EventID.zero
    /// When this data set began.
    package let born: UInt64

    package init(now: UInt64) {
        born = now
    }

    package enum Outcome {
        /// Give this to whoever listens, and `receipt` (with the number of listening nodes) to the publisher.
        case publish(Envelope, Receipt)
        /// The token was used before.
        case repeated(Receipt)
    }

    /// - Parameter nodes: how many nodes listen to the target (0 or 1).
    package mutating func publish(_ publication: Publication, nodes: Int, now: UInt64) -> Outcome {
        let once = publication.once.map { Once(target: publication.target, token: ExactText($0)) }
        if let once, let first = results[once], first.expiry > now { return .repeated(first.receipt) }
        let entry = publication.retention.map { append(publication, $0, now: now) }
        let receipt = Receipt(id: entry?.id, nodes: nodes)
        if let once { results[once] = FirstResult(receipt: receipt, expiry: now + MemoryLogs.onceLife) }
        let envelope = Envelope(
            publication.event, id: entry?.id, previous: entry?.previous, trace: publication.trace)
        return .publish(envelope, receipt)
    }

    private mutating func append(
        _ publication: Publication, _ retention: Publication.Retention, now: UInt64
    ) -> LogEntry {
        let target = publication.target
        clock = now > clock.milliseconds ? EventID(now, 0) : EventID(clock.milliseconds, clock.sequence + 1)
        let entry = LogEntry(id: clock, previous: marker(target, now: now)?.id, event: publication.event)

        var log = logs.removeValue(forKey: target) ?? Log(expiry: 0)
        if log.expiry <= now { log.entries.removeAll() }
        log.entries.append(entry)
        while log.entries.count > retention.maxlen ?? MemoryLogs.maxlenStandard { log.entries.removeFirst() }
        log.expiry = max(log.expiry, now + UInt64(retention.ttl ?? MemoryLogs.ttlStandard) * 1000)
        markers[target] = Marker(
            id: clock, ends: entry.event.ends, expiry: now + max(MemoryLogs.day, 2 * (log.expiry - now)))
        logs[target] = log
        return entry
    }

    /// Raises the clock to the time: every later event gets a later id.
    package mutating func tick(now: UInt64) -> EventID {
        clock = max(clock, EventID(now, 0))
        return clock
    }

    /// The events of one log after `id`: of at most so much data, but at least one.
    package func read(_ target: Target, after id: EventID, bytes: Int, now: UInt64) -> LogPage {
        var page = LogPage(marker: marker(target, now: now), entries: [], isLast: true)
        guard let log = logs[target], log.expiry > now else { return page }
        var low = log.entries.startIndex
        var high = log.entries.endIndex
        while low < high {
            let middle = (low + high) / 2
            if log.entries[middle].id > id { high = middle } else { low = middle + 1 }
        }
        var left = bytes
        for entry in log.entries[low...] {
            left -= entry.event.data.readableBytes + MemoryLogs.entryOverhead
            guard left >= 0 || page.entries.isEmpty else {
                page.isLast = false
                break
            }
            page.entries.append(entry)
        }
        return page
    }

    package func marker(_ target: Target, now: UInt64) -> LogMarker? {
        guard let marker = markers[target], marker.expiry > now else { return nil }
        return LogMarker(id: marker.id, ends: marker.ends)
    }

    /// Forgets what has expired.
    package mutating func expire(now: UInt64) {
        logs = logs.filter { $0.value.expiry > now }
        markers = markers.filter { $0.value.expiry > now }
        results = results.filter { $0.value.expiry > now }
    }
}
