// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

extension LogRead {
    /// The outcome for each of the first so many of `count` logs, at least one; nil if the reply is none of the function.
    package static func outcomes(reply: RESPValue, of count: Int) -> [Outcome]? {
        guard let values = reply.array, !values.isEmpty, values.count <= count else { return nil }
        let outcomes = values.compactMap { Outcome(reply: $0) }
        return outcomes.count == values.count ? outcomes : nil
    }
}

extension LogRead.Outcome {
    /// `[problem, marker, read up to, whether that was all, entries]`.
    fileprivate init?(reply: RESPValue) {
        guard let parts = reply.array, parts.count == 5, let problem = parts[0].string,
            case .integer(let isLast) = parts[3], let entries = parts[4].array
        else { return nil }
        guard problem.isEmpty else {
            self = .unreadable(problem)
            return
        }
        // Behind an id that the clock can't have given out there is no event of ours.
        let upTo = parts[2].string.flatMap { EventID($0) }
        self = .page(
            LogPage(
                marker: parts[1].string.flatMap { LogMarker($0) }, entries: entries.compactMap { LogEntry(reply: $0) },
                upTo: upTo, isLast: isLast == 1 || upTo == nil))
    }
}

extension LogEntry {
    /// `[id, [name, value, …]]`, as the function wrote it; nil for what somebody else has put there.
    fileprivate init?(reply: RESPValue) {
        guard let parts = reply.array, parts.count == 2, let id = parts[0].string.flatMap({ EventID($0) }),
            let fields = parts[1].array
        else { return nil }
        var previous: EventID?
        var event = Event(ByteBuffer())
        var hasData = false
        for index in stride(from: 0, to: fields.count - 1, by: 2) {
            guard case .bulk(let bytes) = fields[index + 1] else { return nil }
            switch fields[index].string {
            case "p": previous = EventID(bytes.readableBytesView)
            case "d": (event.data, hasData) = (bytes, true)
            case "e": event.type = String(validating: bytes.readableBytesView, as: UTF8.self)
            case "k": event.key = String(validating: bytes.readableBytesView, as: UTF8.self)
            case "end": event.ends = true
            default: break
            }
        }
        guard hasData, event.type.map({ EventLabel.problem(type: $0) == nil }) ?? true else { return nil }
        self.init(id: id, previous: previous, event: event)
    }
}
