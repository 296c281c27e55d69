// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// What the client of a stream sees, and what it makes of that: the simple reference with which a stream is compared.
final class ModelClient {
    enum Item {
        /// `cursor`: what its `id:` says; nil: it has none.
        case event(EventID, cursor: Cursor?)
        case liveOnly(UInt64)
        case gap(Gap, id: Cursor?)
        case checkpoint(Cursor)

        /// What the client takes for its place.
        var cursor: Cursor? {
            switch self {
            case .event(_, let cursor): cursor
            case .liveOnly: nil
            case .gap(_, let id): id
            case .checkpoint(let cursor): cursor
            }
        }
    }

    private unowned let model: NodeModel
    private let mine: Set<Int>
    private let resume: Resume
    private let hasCheckpoints: Bool
    private let partitions: Set<Partition>

    /// Everything later is its own; nil: it has not begun there.
    private var beginning: [Partition: EventID] = [:]
    private var hasBegun: Set<Partition> = []
    var liveFrom: [Partition: UInt64] = [:]
    private var seen: Set<EventID> = []
    private var newestSeen: [Partition: EventID] = [:]
    private var seenLiveOnly: Set<UInt64> = []
    private var toldLiveOnly: Set<UInt64> = []
    var gaps: [Gap] = []
    private var uncertain: Set<Partition> = []
    /// The last event id that the client has.
    private(set) var cursor: Cursor?
    /// Up to where it has read logs.
    var marks: [Partition: Set<EventID>] = [:]
    var overruns = 0
    var faults: [String] = []

    init(_ model: NodeModel, mine: Set<Int>, resume: Resume, hasCheckpoints: Bool) {
        self.model = model
        self.mine = mine
        self.resume = resume
        self.hasCheckpoints = hasCheckpoints
        partitions = Set(mine.map { model.partition($0) })
        if case .after(let cursor) = resume { self.cursor = cursor }
    }

    private func fail(_ problem: String) { faults.append(problem) }

    // MARK: What it is owed

    /// - Parameter start: the logs are read up to here.
    func begins(_ partition: Partition, floor: EventID, start: EventID) {
        guard hasBegun.insert(partition).inserted else { return }
        if resume == .earliest || resume == .available { marks[partition, default: []].insert(start) }
        var isUnknown = false
        switch resume {
        case .after(let cursor) where floor == cursor.cut[partition]: beginning[partition] = floor
        case .earliest, .available: beginning[partition] = .zero
        case .after(let cursor):
            isUnknown = cursor.cut[partition] == .zero
            beginning[partition] = beginning[partition] ?? floor
        case .fresh, .malformed: beginning[partition] = beginning[partition] ?? floor
        }
        guard let cursor else {
            if resume == .malformed { uncertain.insert(partition) }
            return
        }
        if resume == .malformed || isUnknown || cursor.cut[partition] > floor { uncertain.insert(partition) }
        if cursor.cut[partition] > floor {
            self.cursor = Cursor(cursor.cut.with(floor, in: partition), at: cursor.partition)
        }
    }

    /// Its head went out before it could begin there.
    func promised(_ partition: Partition) {
        guard resume == .fresh, beginning[partition] == nil else { return }
        let clock = model.feed.clock(of: partition)
        let latest = Partitioning.cluster.partitions.map { model.feed.clock(of: $0) }.max() ?? .zero
        if latest > .zero { beginning[partition] = clock > .zero ? clock : latest.time }
    }

    func refused(_ targets: StreamTargets) {
        let areTopicsOver =
            mine != [2]
            && mine.allSatisfy { target in
                if case .ended = model.known[target].end { true } else { target == 2 }
            }
        let lacks = partitions.contains { cursor?.cut[$0] ?? .zero < targets[$0].end }
        if !areTopicsOver || (resume != .fresh && resume != .malformed && lacks) { fail("refused") }
    }

    // MARK: What it sees

    /// - Parameter floor: where the stream stands in the partition of a gap.
    func show(_ item: Item, floor: EventID) {
        switch item {
        case .event(let id, let cursor):
            let partition = model.partition(of: id)
            if !seen.insert(id).inserted { fail("\(id) twice") }
            if id <= beginning[partition] ?? .max { fail("\(id) is from before \(String(describing: beginning))") }
            guard let cursor else { return }
            if id <= newestSeen[partition] ?? .zero { fail("\(id) is out of order") }
            newestSeen[partition] = id
            if cursor.id != id { fail("\(id) carries \(cursor)") }
            move(to: cursor)
        case .liveOnly(let position):
            if !seenLiveOnly.insert(position).inserted { fail("live \(position) twice") }
            let partition = model.partition(model.targetOfLiveOnly[position] ?? 0)
            if position < liveFrom[partition] ?? .max { fail("live \(position) is from before \(liveFrom)") }
        case .gap(let gap, let id):
            check(gap)
            gaps.append(gap)
            // What it tells without ids is what was before here.
            if gap.to == nil {
                gaps.append(Gap(from: nil, to: floor, targets: gap.targets))
                for (position, target) in model.targetOfLiveOnly
                where gap.targets.contains(NodeModel.targets[target]) {
                    toldLiveOnly.insert(position)
                }
            }
            if let id { move(to: id) }
        case .checkpoint(let cursor):
            if !hasCheckpoints { fail("a checkpoint") }
            move(to: cursor)
            compare(upTo: cursor.cut, "checkpoint", withLate: false)
        }
    }

    /// No partition's place goes back, and none is behind what the client has: it would come again.
    private func move(to new: Cursor) {
        for partition in partitions {
            let place = new.cut[partition]
            if let cursor, place < cursor.cut[partition] {
                fail("partition \(partition) goes back from \(cursor.cut[partition]) to \(place)")
            }
            if place < newestSeen[partition] ?? .zero {
                fail("\(new) has \(place), but the client has \(newestSeen[partition] ?? .zero)")
            }
        }
        cursor = new
    }

    private func isTold(_ event: NodeModel.Published) -> Bool {
        gaps.contains { tells($0, of: event) }
    }

    private func tells(_ gap: Gap, of event: NodeModel.Published) -> Bool {
        guard let to = gap.to, event.id <= to, event.id > gap.from ?? .zero else { return false }
        return gap.targets.contains(NodeModel.targets[event.target])
    }

    /// A gap tells of something that is lost, and that the client does not have.
    private func check(_ gap: Gap) {
        let places = Set(gap.targets.compactMap { NodeModel.targets.firstIndex(of: $0) }.map { model.partition($0) })
        guard places.count == 1, let partition = places.first else { return fail("\(gap) is of several partitions") }
        if uncertain.remove(partition) != nil { return }
        guard let to = gap.to else {
            if overruns == 0 { fail("\(gap) without an overrun") }
            return
        }
        // Whether what is lost was before the mark, nobody knows.
        if marks[partition]?.contains(where: { $0 > gap.from ?? .zero && $0 < to }) ?? false { return }
        for target in gap.targets where !gaps.contains(where: { $0.to == nil }) {
            let isTrue = model.history.contains {
                NodeModel.targets[$0.target] == target && $0.isGone
                    && $0.id > max(gap.from ?? .zero, beginning[partition] ?? .zero)
                    // What the newest of an empty log were cannot be known, if they are later than the mark.
                    && ($0.id <= to || marks[partition]?.contains(to) == true) && !seen.contains($0.id)
            }
            if !isTrue { fail("\(gap) is false for \(target)") }
        }
    }

    /// The client has everything up to a place, or knows what it lacks.
    ///
    /// - Parameters:
    ///   - cut: nil: everything.
    ///   - withLate: also what the node itself has got late.
    func compare(upTo cut: Cut?, _ occasion: String, withLate: Bool = true) {
        for event in model.history {
            let partition = model.partition(event.target)
            guard let beginning = beginning[partition], event.id > beginning, mine.contains(event.target),
                event.id <= cut?[partition] ?? .max, !seen.contains(event.id), !isTold(event)
            else { continue }
            if model.isUnreported(event) || model.isMissing(event) || (event.isLate && !withLate) { continue }
            if event.id <= marks[partition]?.min() ?? .zero {
                if resume == .available, event.isGone { continue }
                // What went to everybody is no part of it.
                if resume == .available || resume == .earliest, event.target == 2, mine.count > 1 { continue }
            }
            fail(
                "\(occasion): \(event.id) of \(NodeModel.targets[event.target]) is missing up to \(cut.map { "\($0[partition])" } ?? "the end")"
            )
        }
    }

    /// Nothing is under way any more.
    func compareAll() {
        compare(upTo: nil, "at rest")
        for (position, target) in model.targetOfLiveOnly
        where position >= liveFrom[model.partition(target)] ?? .max && mine.contains(target)
            && !seenLiveOnly.contains(position) && !toldLiveOnly.contains(position)
        {
            fail("live \(position) of \(target) is missing from \(liveFrom)")
        }
    }
}
