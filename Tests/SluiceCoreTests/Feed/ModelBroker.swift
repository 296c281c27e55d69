// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import TestSupport

/// What Redis has: logs with chains and markers, and a clock. Logs are short, so that they are trimmed all the time.
struct ModelBroker {
    struct Log {
        var entries: [LogEntry] = []
        var marker: LogMarker?
        var isUnreadable = false
    }

    private static let lengthMax = 6

    var logs: [Target: Log] = [:]
    var clock: EventID
    var born: UInt64
    /// Milliseconds since 1970.
    var time: UInt64

    init(time: UInt64) {
        self.time = time
        born = time
        clock = EventID(time, 0)
    }

    /// The next event of a target, and the bytes of its message.
    mutating func publish(_ target: Target, ends: Bool) -> (id: EventID, payload: ByteBuffer) {
        clock = time > clock.milliseconds ? EventID(time, 0) : EventID(clock.milliseconds, clock.sequence + 1)
        var log = logs[target] ?? Log()
        let envelope = Envelope(id: clock, previous: log.marker?.id, ends: ends)
        log.entries.append(
            LogEntry(id: clock, previous: envelope.previous, event: Event(ByteBuffer(bytes: [0x61]), ends: ends)))
        if log.entries.count > ModelBroker.lengthMax { log.entries.removeFirst() }
        log.marker = LogMarker(id: clock, ends: ends)
        logs[target] = log
        return (clock, ModelBroker.payload(envelope))
    }

    static func payload(_ envelope: Envelope) -> ByteBuffer {
        var payload = ByteBuffer()
        envelope.encode(data: [0x61], into: &payload)
        return payload
    }

    /// Raises the clock to the time, and to what a node knows.
    mutating func tick(known: EventID) -> EventID {
        clock = max(clock, known, EventID(time, 0))
        return clock
    }

    func reading(_ targets: [Target]) -> ClockReading {
        ClockReading(clock: clock, born: born, markers: targets.map { logs[$0]?.marker })
    }

    func read(_ request: Replay.Request, entries count: Int) -> Replay.Outcome {
        let log = logs[request.target] ?? Log()
        guard !log.isUnreadable else { return .unreadable }
        let entries = log.entries.filter { $0.id > request.after }
        let page = LogPage(
            marker: log.marker, entries: Array(entries.prefix(count)), isLast: entries.count <= count)
        return .slice(LogSlice(LogSegment(page, after: request.after), isLast: page.isLast))
    }

    /// Whether a reader that has everything up to `from` can know what was published up to `to`: not if the data set is
    /// younger, the log can't be read, or the one that came next has left the log and so has the one behind `to`.
    func knows(_ target: Target, from: EventID?, to: EventID) -> Bool {
        guard let from, from.milliseconds >= born else { return false }
        guard let log = logs[target] else { return true }
        guard !log.isUnreadable else { return false }
        guard let first = log.entries.first else { return log.marker.map { $0.id <= to } ?? true }
        return first.id <= to || first.previous.map { $0 <= to } ?? true
    }

    /// A replica that lacks what came last takes over.
    mutating func goBack(to old: ModelBroker) {
        logs = old.logs
        clock = old.clock
        born = time
    }
}
