// SPDX-License-Identifier: Apache-2.0
import HeapModule

/// Reads some logs up to a mark, merged by id, and finds what is missing: a stream's resume, and a node's repair.
///
/// Each log is a lane. Slices of it come in as they are read; what is to be done next comes out. No I/O.
///
/// How a loss is seen: an entry names its predecessor in the same log (`previous`), so one that is later than what the
/// lane has had is missing; where the log itself is gone, its marker tells the newest id there was. A data set that
/// began after the cursor has lost what was before; of one that went back to an older state the marker names the holes.
///
/// What it holds is bounded: to merge, it needs to know which id is next in each log, but the bytes only of the one
/// whose turn it is. A lane that would hold more than the replay may is *parked*: it keeps the id, lets go of the
/// bytes and asks for them again when their turn comes. (They are most likely still in the ``LogCache``.)
package struct Replay {
    /// From where a reader wants the logs.
    package enum Start: Equatable, Sendable {
        /// It has everything up to this id.
        case after(EventID)
        /// From their beginning; it has to know if that is gone.
        case earliest
        /// What there is.
        case available
    }

    package enum Step {
        /// Read these.
        case read([Request])
        /// Slices are on their way.
        case wait
        case event(LogSegment.Entry, in: LogSegment, Target)
        /// Some of what lies before the next event is lost. `id`: may be carried, because it makes no cursor go back.
        case gap(Gap, id: EventID?)
        /// Everything up to the mark is out.
        case done
    }

    package struct Request: Equatable, Sendable {
        package let lane: Int
        package let target: Target
        package let after: EventID
        /// A slice should have no more bytes than this.
        package let bytes: Int
    }

    /// What a request has brought.
    package enum Outcome: Sendable {
        case slice(LogSlice)
        /// What is stored under the log's name can't be read, also not later.
        case unreadable
        /// The broker is away.
        case failed
    }

    private enum Source {
        /// What comes next is not known: it has to be read.
        case unknown
        case asked
        case slice(LogSlice, next: Int)
        /// The id of the next entry is known, its bytes have to be read again.
        case parked
        /// Nothing more up to the mark.
        case exhausted
    }

    private struct Loss: Equatable {
        /// nil: from the beginning.
        let from: EventID?
        var to: EventID
        /// Where the gap is sorted in.
        let order: EventID
    }

    private struct Lane {
        let target: Target
        /// The last id that this lane has given out, or the cursor.
        var after: EventID
        /// The log was read up to here; later than `after` where the log holds what is none of ours.
        var readUpTo: EventID
        var source = Source.unknown
        /// The next entry.
        var head: EventID?
        /// What is missing before it, or at the end.
        var loss: Loss?
        /// A gap up to here was told already.
        var toldUpTo = EventID.zero
        /// The next entry has to follow on `after`; else what lies between was told, or was never asked for.
        var isCertain: Bool
        /// What is missing behind the mark, and what was trimmed up to there since, is found by the reader.
        var isFollowed = false
        /// The reader is told of holes by somebody else, and which of them concern it.
        var isInformed = false
        /// Stands in `order`.
        var isSorted = false

        /// Where it stands among the lanes; nil: it has nothing to give.
        var order: EventID? { loss?.order ?? head }
    }

    /// A lane's place in the merge.
    private struct Place: Comparable {
        let id: EventID
        let lane: Int

        static func < (left: Place, right: Place) -> Bool {
            left.id == right.id ? left.lane < right.lane : left.id < right.id
        }
    }

    static let day: UInt64 = 86_400_000
    /// Less in a slice would cost a round trip for each small event.
    private static let sliceBytesMin = 4096

    /// More than the shortest life of a marker. No sum, which a forged id could make overflow.
    package static func isDayLater(_ id: EventID, than other: EventID) -> Bool {
        id > other && id.milliseconds - other.milliseconds > day
    }

    let start: Start
    package let mark: EventID
    /// The reader gets nothing up to here but what it reads: holes up to here are its own. Not earlier than the mark.
    let newest: EventID
    let bytesMax: Int
    private let sliceBytes: Int
    private var lanes: [Lane]
    /// Those that have something to give. The next entry of each other is not known yet, or there is none.
    private var order = Heap<Place>()
    private var unknown: [Int]
    private var askedCount = 0
    /// The highest id that was given out.
    private var given = EventID.zero
    /// What the slices cost that the lanes hold.
    package private(set) var heldBytes = 0
    /// What the slices cost that the lanes held once. What was given out of them may hold them still: who knows that it
    /// does not begins anew.
    var releasedBytes = 0

    /// - Parameters:
    ///   - earlier: of these targets the reader has only what came up to an earlier id.
    ///   - mark: where the reader goes live.
    ///   - born: when the data set began, in milliseconds.
    ///   - bytesMax: what the replay may hold, beside the slice whose turn it is.
    ///   - informed: of these the reader learns of holes from somebody else.
    ///   - followed: of these the reader looks itself whether what comes behind the mark follows on what it has had.
    package init(
        targets: [Target], from start: Start, earlier: [Target: EventID] = [:], through mark: EventID,
        newest: EventID = .zero, born: UInt64, bytesMax: Int, followed: Set<Target> = [], informed: Set<Target> = []
    ) {
        self.start = start
        self.mark = mark
        self.newest = max(mark, newest)
        self.bytesMax = bytesMax
        sliceBytes = max(Replay.sliceBytesMin, bytesMax / max(targets.count, 1))
        unknown = Array(targets.indices)
        lanes = targets.map { target in
            guard case .after(let cursor) = start else {
                return Lane(target: target, after: .zero, readUpTo: .zero, isCertain: start == .earliest)
            }
            let known = min(cursor, earlier[target] ?? cursor)
            let isLost = known.milliseconds < born
            return Lane(
                target: target, after: known, readUpTo: known,
                loss: isLost ? Loss(from: known, to: mark, order: known) : nil, isCertain: !isLost,
                isFollowed: followed.contains(target), isInformed: informed.contains(target))
        }
    }

    // MARK: What was read

    /// - Returns: whether there was an answer; else what was asked for is asked for again.
    package mutating func received(_ outcome: Outcome, lane: Int) -> Bool {
        switch outcome {
        case .slice(let slice): received(slice, lane: lane)
        case .unreadable: unreadable(lane: lane)
        case .failed:
            failed(lane: lane)
            return false
        }
        return true
    }

    /// A slice of a lane, as it was asked for.
    package mutating func received(_ slice: LogSlice, lane index: Int) {
        guard case .asked = lanes[index].source else { return }
        askedCount -= 1
        heldBytes += slice.segment.size
        lanes[index].source = .slice(slice, next: slice.start)
        advance(index)
        park(index)
    }

    /// What is stored under a log's name can't be read: what it had is lost.
    package mutating func unreadable(lane index: Int) {
        guard case .asked = lanes[index].source else { return }
        askedCount -= 1
        lanes[index].head = nil
        lanes[index].isCertain = true
        miss(upTo: mark, lane: index)
        lanes[index].source = .exhausted
        sort(index)
    }

    /// What was asked for does not come: it is asked for again.
    package mutating func failed(lane index: Int) {
        guard case .asked = lanes[index].source else { return }
        askedCount -= 1
        if lanes[index].head == nil { becomeUnknown(index) } else { lanes[index].source = .parked }
    }

    private mutating func becomeUnknown(_ index: Int) {
        lanes[index].source = .unknown
        unknown.append(index)
    }

    /// Finds the next entry of a lane that is the reader's, and what is missing before it.
    private mutating func advance(_ index: Int) {
        guard case .slice(let slice, var next) = lanes[index].source else { return }
        lanes[index].head = nil
        while next < slice.segment.entries.count {
            let entry = slice.segment.entries[next]
            if entry.id > lanes[index].after {
                note(slice.segment.marker?.holes ?? [], before: entry.id > mark ? .max : entry.id, lane: index)
                note(previous: entry.previous, of: entry.id, lane: index)
                if entry.id > mark { return exhaust(index) }
                if slice.superseded?[next] != true {
                    lanes[index].head = entry.id
                    lanes[index].source = .slice(slice, next: next)
                    return sort(index)
                }
                lanes[index].after = entry.id
                lanes[index].isCertain = true
            }
            next += 1
        }
        lanes[index].readUpTo = max(lanes[index].after, slice.segment.upTo)
        // What may be behind the mark is none of the reader's, and would cost a read.
        if slice.isLast || lanes[index].readUpTo >= mark {
            note(slice.segment.marker?.holes ?? [], before: .max, lane: index)
            if slice.isLast { note(slice.segment.marker, lane: index) }
            return exhaust(index)
        }
        release(slice)
        becomeUnknown(index)
        sort(index)
    }

    private mutating func exhaust(_ index: Int) {
        if case .slice(let slice, _) = lanes[index].source { release(slice) }
        lanes[index].source = .exhausted
        sort(index)
    }

    private mutating func release(_ slice: LogSlice) {
        heldBytes -= slice.segment.size
        releasedBytes += slice.segment.size
    }

    /// Lets go of what was just read if the replay holds too much and the lane's turn has not come.
    private mutating func park(_ index: Int) {
        guard heldBytes > bytesMax, case .slice(let slice, _) = lanes[index].source, order.min?.lane != index else {
            return
        }
        heldBytes -= slice.segment.size
        lanes[index].source = .parked
        lanes[index].readUpTo = lanes[index].after
    }

    private mutating func sort(_ index: Int) {
        guard !lanes[index].isSorted, let id = lanes[index].order else { return }
        lanes[index].isSorted = true
        order.insert(Place(id: id, lane: index))
    }

    // MARK: What is missing

    /// Of what a data set that went back has lost, what belongs before this entry.
    private mutating func note(_ holes: [Hole], before id: EventID, lane index: Int) {
        for hole in holes where !lanes[index].isInformed {
            let lane = lanes[index]
            let had = max(lane.after, lane.toldUpTo)
            guard lane.isCertain, hole.touches(after: had, upTo: min(id, newest)) else { continue }
            // A cursor from within the hole may be of either data set.
            miss(
                after: hole.from == .zero ? lane.after : min(hole.from, lane.after), upTo: min(hole.upTo, newest),
                lane: index)
        }
    }

    /// An entry names the one before it: is that one missing?
    private mutating func note(previous: EventID?, of id: EventID, lane index: Int) {
        let lane = lanes[index]
        guard lane.isCertain else { return }
        let had = max(lane.after, lane.toldUpTo)
        if let previous {
            if previous > had { missAll(upTo: previous, lane: index) }
        } else if had > .zero, Replay.isDayLater(id, than: had) {
            // The chain begins anew once its marker has expired: what was before is not known.
            miss(upTo: mark, lane: index)
        }
    }

    /// The log has no more entries: does its marker know of any?
    private mutating func note(_ marker: LogMarker?, lane index: Int) {
        let lane = lanes[index]
        guard lane.isCertain else { return }
        let had = max(lane.after, lane.toldUpTo)
        if let marker {
            if marker.id > had { missAll(upTo: marker.id, lane: index) }
        } else if had > .zero, Replay.isDayLater(mark, than: had) {
            miss(upTo: mark, lane: index)
        }
    }

    /// Everything up to this id is missing. If that is behind the mark, nobody knows whether any of it was before.
    private mutating func missAll(upTo id: EventID, lane index: Int) {
        if id <= mark || !lanes[index].isFollowed { miss(upTo: min(id, mark), lane: index) }
    }

    private mutating func miss(after from: EventID? = nil, upTo id: EventID, lane index: Int) {
        let lane = lanes[index]
        guard id > max(lane.after, lane.toldUpTo) else { return }
        if let loss = lane.loss {
            // Two holes with nothing between them that the reader gets are told as one.
            let from = loss.from.map { min($0, from ?? lane.after) }
            lanes[index].loss = Loss(from: from, to: max(loss.to, id), order: loss.order)
        } else if lane.after == .zero {
            // A beginning that is gone is told before anything else.
            lanes[index].loss = Loss(from: nil, to: id, order: .zero)
        } else {
            // The gap goes before any event that is later than the last one of this log: whoever is cut off behind such an
            // event has been told.
            lanes[index].loss = Loss(from: from ?? lane.after, to: id, order: lane.after)
        }
    }

    // MARK: What to do

    /// What to do next. After `read`, `wait` is returned until each lane that was asked for has been answered.
    package mutating func next() -> Step {
        if !unknown.isEmpty {
            let asked = unknown
            unknown = []
            return ask(asked)
        }
        guard askedCount == 0 else { return .wait }
        while let place = order.min {
            // What stood there may be gone from its log since.
            guard lanes[place.lane].order == place.id else {
                order.removeMin()
                lanes[place.lane].isSorted = false
                sort(place.lane)
                continue
            }
            if let loss = lanes[place.lane].loss { return tell(loss) }
            guard case .slice(let slice, let next) = lanes[place.lane].source else { return ask([place.lane]) }
            order.removeMin()
            let entry = slice.segment.entries[next]
            lanes[place.lane].isSorted = false
            lanes[place.lane].after = entry.id
            given = max(given, entry.id)
            lanes[place.lane].isCertain = true
            lanes[place.lane].source = .slice(slice, next: next + 1)
            advance(place.lane)
            return .event(entry, in: slice.segment, lanes[place.lane].target)
        }
        return .done
    }

    private mutating func ask(_ indices: [Int]) -> Step {
        askedCount += indices.count
        return .read(
            indices.map { index in
                lanes[index].source = .asked
                return Request(
                    lane: index, target: lanes[index].target, after: lanes[index].readUpTo, bytes: sliceBytes)
            })
    }

    /// The same hole in several lanes is told once.
    private mutating func tell(_ loss: Loss) -> Step {
        var told: [Int] = []
        while let place = order.min, place.id == loss.order, lanes[place.lane].loss == loss {
            order.removeMin()
            lanes[place.lane].isSorted = false
            lanes[place.lane].loss = nil
            lanes[place.lane].toldUpTo = loss.to
            told.append(place.lane)
        }
        for index in told { sort(index) }
        // Its end can be the cursor only if nothing earlier follows. And that it is lost may have become known late.
        let isCursor = given <= loss.to && loss.to <= mark && order.min.map { $0.id > loss.to } ?? true
        if isCursor { given = loss.to }
        return .gap(
            Gap(from: loss.from, to: loss.to, targets: told.map { lanes[$0].target }), id: isCursor ? loss.to : nil)
    }
}
