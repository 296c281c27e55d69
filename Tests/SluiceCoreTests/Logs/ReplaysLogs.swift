// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import Testing

/// A log as a broker would page it, and what was ever published to it.
struct PagedLog {
    var entries: [LogEntry] = []
    var marker: LogMarker?

    mutating func append(_ id: EventID) {
        entries.append(
            LogEntry(
                id: id, previous: marker?.id, event: Event(ByteBuffer(string: "\(id)"))))
        marker = LogMarker(id: id, ends: false)
    }

    func slice(after id: EventID, count: Int) -> LogSlice {
        let rest = entries.filter { $0.id > id }
        let page = LogPage(marker: marker, entries: Array(rest.prefix(count)), isLast: rest.count < count)
        return LogSlice(LogSegment(page, after: id), isLast: page.isLast)
    }
}

/// What a replay has given out.
enum Replayed: Equatable {
    case event(EventID)
    case gap(from: EventID?, to: EventID?, [String], id: EventID?)
}

/// A suite that has logs replayed, page by page.
protocol ReplaysLogs {}

extension ReplaysLogs {
    typealias Log = PagedLog
    typealias Out = Replayed

    static var born: UInt64 { 1000 }
    static func id(_ milliseconds: UInt64) -> EventID { EventID(10_000 + milliseconds, 0) }
    static var a: Target? { try? Target.topic("a") }
    static var b: Target? { try? Target.topic("b") }

    /// - Parameter isNarrow: the replay may hold next to nothing, so that its lanes are parked again and again.
    func run(
        _ logs: [Target: Log], from start: Replay.Start, through mark: EventID, newest: EventID = .zero,
        born: UInt64 = Self.born, pageCount: Int = 3, isNarrow: Bool = false, unreadable: Target? = nil
    ) -> [Out] {
        let targets = logs.keys.sorted { $0.description < $1.description }
        var replay = Replay(
            targets: targets, from: start, through: mark, newest: newest, born: born, bytesMax: isNarrow ? 1 : 1 << 20)
        var out: [Out] = []
        var isSecond = false
        for _ in 0..<10_000 {
            switch replay.next() {
            case .read(let requests):
                for request in requests {
                    if request.target == unreadable {
                        replay.unreadable(lane: request.lane)
                        continue
                    }
                    // Every other answer fails, and is asked for again.
                    isSecond.toggle()
                    guard isSecond else {
                        replay.failed(lane: request.lane)
                        continue
                    }
                    replay.received(
                        (logs[request.target] ?? Log()).slice(after: request.after, count: pageCount),
                        lane: request.lane)
                }
            case .event(let entry, _, _): out.append(.event(entry.id))
            case .gap(let gap, let id):
                out.append(.gap(from: gap.from, to: gap.to, gap.targets.map(\.description).sorted(), id: id))
            case .wait: Issue.record("nothing was being read")
            case .done:
                #expect(replay.heldBytes == 0)
                return out
            }
        }
        Issue.record("the replay has no end")
        return out
    }

    func run(
        _ logs: [Target: Log], after cursor: EventID, through mark: EventID, born: UInt64 = Self.born,
        pageCount: Int = 3, isNarrow: Bool = false
    ) -> [Out] {
        run(logs, from: .after(cursor), through: mark, born: born, pageCount: pageCount, isNarrow: isNarrow)
    }
}
