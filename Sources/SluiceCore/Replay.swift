// SPDX-License-Identifier: Apache-2.0
import DequeModule

/// Reads some logs over `(cursor, mark]`, merged by id, and finds what is missing: a stream's resume, and a node's repair.
///
/// Each log is a lane. Pages come in as they are read; what is to be done next comes out. No I/O.
///
/// How a loss is seen: an entry names its predecessor in the same log (`previous`), so one that is later than what the
/// lane has had is missing; where the log itself is gone, its marker tells the newest id there was. A data set that
/// began after the cursor has lost what was before.
package struct Replay {
    package enum Step: Equatable {
        /// Read a page of each of these lanes, after the given id.
        case read([Request])
        /// Pages are on their way.
        case wait
        case event(LogEntry, Target)
        /// Some of what lies before the next event is lost. `id`: may be carried, because it makes no cursor go back.
        case gap(Gap, id: EventID?)
        /// Everything up to the mark is out.
        case done
    }

    package struct Request: Equatable, Sendable {
        package let lane: Int
        package let target: Target
        package let after: EventID
    }

    private enum Phase {
        case wanting
        case reading
        case filled
        /// Nothing more up to the mark.
        case exhausted
    }

    private struct Lane {
        let target: Target
        /// The last id that this lane has given out, or the cursor.
        var after: EventID
        /// The last id that a page has brought.
        var readUpTo: EventID
        var phase = Phase.wanting
        var entries: Deque<LogEntry> = []
        /// What is missing before the first entry, or at the end.
        var gap: (from: EventID, to: EventID)?
        /// The gap is sorted in at this id.
        var gapOrder = EventID.zero
        /// A gap up to here was told already.
        var toldUpTo = EventID.zero
        /// What was before `after` is not certain, and has been told or was never asked for.
        var isOpenEnded: Bool
        /// No predecessor of what is read next is missed.
        var isUncertain: Bool { isOpenEnded && entries.isEmpty }
    }

    private static let day: UInt64 = 86_400_000

    /// More than the shortest life of a marker. No sum, which a forged id could make overflow.
    package static func isDayLater(_ id: EventID, than other: EventID) -> Bool {
        id > other && id.milliseconds - other.milliseconds > day
    }

    private var lanes: [Lane]
    private let mark: EventID

    /// - Parameters:
    ///   - cursor: what the reader has; nil: the logs from their beginning, whatever was before.
    ///   - earlier: of these targets it has only what came up to an earlier id.
    ///   - mark: where the reader goes live.
    ///   - born: when the data set began, in milliseconds.
    package init(
        targets: [Target], after cursor: EventID?, earlier: [Target: EventID] = [:], through mark: EventID, born: UInt64
    ) {
        self.mark = mark
        lanes = targets.map { target in
            let cursor = cursor.map { min($0, earlier[target] ?? $0) }
            let isLost = cursor.map { $0.milliseconds < born } ?? false
            var lane = Lane(
                target: target, after: cursor ?? .zero, readUpTo: cursor ?? .zero,
                isOpenEnded: cursor == nil || isLost)
            if isLost, let cursor { lane.gap = (cursor, mark) }
            return lane
        }
    }

    /// A page of a lane, as it was asked for.
    package mutating func received(_ page: LogPage, lane index: Int) {
        guard lanes[index].phase == .reading else { return }
        lanes[index].phase = .filled
        var isOver = page.isLast
        for entry in page.entries where entry.id > lanes[index].readUpTo {
            note(previous: entry.previous, of: entry.id, lane: index)
            if entry.id > mark {
                isOver = true
                break
            }
            lanes[index].entries.append(entry)
            lanes[index].readUpTo = entry.id
        }
        if isOver {
            // An entry behind the mark has named its predecessor; without one the marker has to speak.
            if page.entries.last.map({ $0.id <= mark }) ?? true { note(page.marker, lane: index) }
            lanes[index].phase = .exhausted
        } else if lanes[index].entries.isEmpty {
            lanes[index].phase = .wanting
        }
    }

    /// An entry names the one before it: is that one missing?
    private mutating func note(previous: EventID?, of id: EventID, lane index: Int) {
        let lane = lanes[index]
        guard !lane.isUncertain else { return }
        if let previous {
            if previous > lane.readUpTo { miss(upTo: min(previous, mark), lane: index) }
        } else if Replay.isDayLater(id, than: lane.readUpTo) {
            // The chain begins anew once its marker has expired: what was before is not known.
            miss(upTo: mark, lane: index)
        }
    }

    /// The log has no more entries: does its marker know of any?
    private mutating func note(_ marker: LogMarker?, lane index: Int) {
        let lane = lanes[index]
        guard !lane.isUncertain else { return }
        if let marker {
            if marker.id > lane.readUpTo { miss(upTo: min(marker.id, mark), lane: index) }
        } else if Replay.isDayLater(mark, than: lane.readUpTo) {
            miss(upTo: mark, lane: index)
        }
    }

    private mutating func miss(upTo id: EventID, lane index: Int) {
        guard id > max(lanes[index].readUpTo, lanes[index].toldUpTo) else { return }
        if let gap = lanes[index].gap {
            // Two holes in one page are told as one.
            lanes[index].gap = (gap.from, max(gap.to, id))
        } else {
            lanes[index].gap = (lanes[index].readUpTo, id)
            lanes[index].gapOrder = id == mark ? lanes[index].readUpTo : id
        }
    }

    /// What to do next. After `read`, `wait` is returned until the pages have been received.
    package mutating func next() -> Step {
        let wanting = lanes.indices.filter { lanes[$0].phase == .wanting }
        if !wanting.isEmpty {
            for index in wanting { lanes[index].phase = .reading }
            return .read(
                wanting.map { Request(lane: $0, target: lanes[$0].target, after: lanes[$0].readUpTo) })
        }
        if lanes.contains(where: { $0.phase == .reading }) { return .wait }
        guard let index = lanes.indices.filter({ order($0) != nil }).min(by: { isBefore($0, $1) }) else { return .done }
        if lanes[index].gap != nil, gapComesFirst(index) { return takeGap(index) }
        guard let entry = lanes[index].entries.popFirst() else { return .done }
        lanes[index].after = entry.id
        lanes[index].isOpenEnded = false
        if lanes[index].entries.isEmpty, lanes[index].phase == .filled { lanes[index].phase = .wanting }
        return .event(entry, lanes[index].target)
    }

    /// The reader can't take more for now: what was read is forgotten, and read again later. A gap that was seen stays.
    package mutating func forgetPages() {
        for index in lanes.indices where !lanes[index].entries.isEmpty {
            lanes[index].entries.removeAll()
            lanes[index].readUpTo = lanes[index].after
            lanes[index].phase = .wanting
        }
    }

    /// The pages that were asked for don't come: ask again.
    package mutating func failed() {
        for index in lanes.indices where lanes[index].phase == .reading { lanes[index].phase = .wanting }
    }

    private func gapComesFirst(_ index: Int) -> Bool {
        guard let first = lanes[index].entries.first else { return true }
        return lanes[index].gapOrder < first.id
    }

    private func order(_ index: Int) -> EventID? {
        if lanes[index].gap != nil, gapComesFirst(index) { return lanes[index].gapOrder }
        return lanes[index].entries.first?.id
    }

    private func isBefore(_ left: Int, _ right: Int) -> Bool {
        (order(left) ?? .max) < (order(right) ?? .max)
    }

    /// The same hole in several lanes is told once.
    private mutating func takeGap(_ index: Int) -> Step {
        guard let gap = lanes[index].gap else { return .done }
        // Sorted in at its end, it makes no cursor go back; one that stands first might.
        let isSortedIn = lanes[index].gapOrder == gap.to
        var targets: [Target] = []
        for other in lanes.indices {
            guard let same = lanes[other].gap, same == gap, gapComesFirst(other) else { continue }
            targets.append(lanes[other].target)
            lanes[other].gap = nil
            lanes[other].toldUpTo = gap.to
        }
        let isFollowed = lanes.contains { lane in
            lane.phase != .exhausted || (lane.entries.first.map { $0.id <= gap.to } ?? false)
                || (lane.gap.map { $0.to < gap.to } ?? false)
        }
        return .gap(Gap(from: gap.from, to: gap.to, targets: targets), id: isFollowed && !isSortedIn ? nil : gap.to)
    }
}
