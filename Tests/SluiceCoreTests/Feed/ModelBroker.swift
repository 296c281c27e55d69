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
    private(set) var runs: [Lineage.Run] = []
    /// The function has run in this process.
    private var isRunning = false
    /// Milliseconds since 1970.
    var time: UInt64

    init(time: UInt64) {
        self.time = time
        born = time
        clock = EventID(time, 0)
    }

    /// The next event of a target, and the bytes of its message.
    mutating func publish(_ target: Target, ends: Bool) -> (id: EventID, payload: ByteBuffer) {
        run()
        clock = time > clock.milliseconds ? EventID(time, 0) : EventID(clock.milliseconds, clock.sequence + 1)
        var log = logs[target] ?? Log()
        let envelope = Envelope(id: clock, previous: log.marker?.id, ends: ends)
        log.entries.append(
            LogEntry(id: clock, previous: envelope.previous, event: Event(ByteBuffer(bytes: [0x61]), ends: ends)))
        if log.entries.count > ModelBroker.lengthMax { log.entries.removeFirst() }
        log.marker = LogMarker(id: clock, ends: ends, holes: log.marker?.holes ?? [])
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
        run()
        clock = max(clock, known, EventID(time, 0))
        return clock
    }

    func reading(_ targets: [Target]) -> ClockReading {
        ClockReading(
            clock: clock, born: born, lineage: Lineage(runs), markers: targets.map { logs[$0]?.marker })
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
        runs = old.runs
        isRunning = false
    }

    /// The function's first call in its process.
    private mutating func run() {
        guard !isRunning else { return }
        isRunning = true
        // By its number a run that does not mark its ids.
        runs.append(Lineage.Run(time * 100, found: clock))
        runs = runs.suffix(16)
    }

    // MARK: What nodes have heard

    /// - Returns: what is lost, as it is told on the channels.
    mutating func heard(_ report: HeardReport) -> [(target: Target, hole: Hole)] {
        run()
        return report.items.compactMap { item in
            let event = item.event
            guard let hole = hole(event, since: item.since) else { return nil }
            clock = max(clock, event.id)
            return (event.target, hole)
        }
    }

    private mutating func hole(_ event: HeardEvent, since: EventID) -> Hole? {
        var log = logs[event.target] ?? Log()
        let entries = log.isUnreadable ? [] : log.entries
        let newest = log.marker?.id ?? .zero
        if newest == event.id || entries.contains(where: { $0.id == event.id }) { return nil }
        if newest > event.id {
            // If what came next is gone as well, nobody knows.
            if entries.first(where: { $0.id > event.id })?.previous == event.id { return nil }
        }
        let first = entries.first { $0.id > since }
        let from = min(since, first.map { $0.previous ?? .zero } ?? newest)
        let hole = Hole(from: from, after: since, upTo: event.id)
        var holes = log.marker?.holes ?? []
        if holes.contains(where: { $0.after <= since && $0.upTo == event.id }) { return nil }
        holes = holes.filter { $0.upTo != event.id } + [hole]
        let marker = log.marker.map { LogMarker(id: $0.id, ends: $0.ends, holes: holes) }
        let isRaised = marker == nil || (event.ends && event.id > newest)
        log.marker = isRaised ? LogMarker(id: event.id, ends: event.ends, holes: holes) : marker
        logs[event.target] = log
        return hole
    }

    static func notice(_ hole: Hole) -> ByteBuffer {
        ByteBuffer(string: "\u{1E}lost \(hole.from) \(hole.after) \(hole.upTo)")
    }
}
