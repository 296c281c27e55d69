// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import TestSupport
import Testing

/// Streams of one shard and everything that can happen to them, in random order.
private struct StreamModel {
    private static let streams = 4

    let model: NodeModel
    private(set) var faults: [String] = []
    private(set) var overruns = 0
    /// Cursors with which clients have gone.
    private var left: [Cursor] = []

    init(seed: UInt64, partitions: Int) {
        model = NodeModel(seed: seed, ringBytes: 0, partitions: partitions)
        let size = [6000, 1 << 24][Int.random(in: 0..<2, using: &model.generator)]
        model.feed = FeedView(ringBytes: size, partitions: partitions)
    }

    private func random(_ range: Range<Int>) -> Int { Int.random(in: range, using: &model.generator) }

    private func randomResume() -> Resume {
        switch random(0..<10) {
        case 0, 1: return .fresh
        case 2: return .earliest
        case 3: return .available
        case 4: return .malformed
        case 5: return .after(cursor(ahead: Int64(random(0..<5))))
        default:
            let cursors = model.streams.compactMap(\.client.cursor) + left
            if random(0..<2) == 0, let cursor = cursors.randomElement(using: &model.generator) {
                return .after(cursor)
            }
            return .after(cursor(ahead: -Int64(random(0..<40))))
        }
    }

    /// A time, for each partition a little another.
    private func cursor(ahead: Int64) -> Cursor {
        var cut = Cut(.zero, count: model.partitions)
        for index in 0..<model.partitions {
            let partition = Partition(index)
            let clock = Int64(model.clock(of: partition).milliseconds)
            let skew = model.partitions == 1 ? 0 : Int64(random(0..<4))
            cut[partition] = EventID(UInt64(max(1, clock + ahead - skew)), UInt64(index))
        }
        return Cursor(cut, at: .first)
    }

    private mutating func open() {
        guard model.streams.count < StreamModel.streams else { return }
        let mine: [Set<Int>] =
            model.partitions == 1 ? [[2], [0, 2], [0, 1, 2], [0, 1, 2]] : [[2], [0, 2], [0, 1, 2, 3], [1, 2, 3]]
        let stream = ModelStream(
            model, mine: mine[random(0..<4)], resume: randomResume(), hasCheckpoints: random(0..<4) > 0,
            room: random(0..<9))
        model.streams.append(stream)
        stream.open()
    }

    private mutating func close(_ index: Int) {
        let stream = model.streams.remove(at: index)
        if !stream.machine.isEnded { stream.end() }
        faults += stream.client.faults
        overruns += stream.client.overruns
        if let cursor = stream.client.cursor { left = left.suffix(3) + [cursor] }
    }

    mutating func step() {
        switch random(0..<100) {
        case 0..<36: model.publish()
        case 36..<44: model.tick(model.randomPartition())
        case 44..<47: model.trim()
        case 47: model.goDown(model.randomPartition())
        case 48..<52: model.comeBack(model.randomPartition())
        case 52: if random(0..<10) == 0 { model.goBack(model.randomPartition()) }
        case 53 where random(0..<2) == 0: model.report()
        case 53..<56: model.confirm(random(0..<4))
        case 56..<60: model.answerReadings(model.randomPartition())
        case 60..<72: model.answerSome()
        case 72..<76: open()
        case 76: if !model.streams.isEmpty { close(random(0..<model.streams.count)) }
        case 77..<80:
            model.now = model.now + .seconds(Int64(random(1..<30)))
            for stream in model.streams { stream.wake() }
        default:
            guard let stream = model.streams.randomElement(using: &model.generator) else { return }
            if random(0..<3) == 0 { stream.unblock(room: random(0..<12)) } else { stream.advance() }
        }
        for index in model.streams.indices.reversed() where model.streams[index].machine.isEnded { close(index) }
    }

    /// Everything that is under way comes to its end.
    mutating func settle() {
        model.settleOnce()
        model.report()
        for target in NodeModel.targets.indices { model.confirm(target) }
        for _ in 0..<10_000 {
            model.settleOnce()
            for stream in model.streams { stream.unblock(room: .max) }
            if model.streams.allSatisfy({ $0.machine.isLive || $0.machine.isEnded }) { break }
        }
        for stream in model.streams where !stream.machine.isEnded {
            if !stream.machine.isLive { faults.append("never live") }
            stream.client.compareAll()
        }
        while !model.streams.isEmpty { close(0) }
    }
}

@Suite("StreamMachine, with everything that can happen to it")
struct StreamMachineModelTests {
    private static let runs: UInt64 = 64
    private static let worlds: UInt64 = 40
    private static let steps = 400

    /// What a failure has printed, to look at it alone.
    private static let seed: UInt64? = nil

    @Test(
        "each event of its targets comes once and in order, or a gap that is true tells of it; no cursor passes by an event",
        arguments: 0..<runs, [1, 16])
    func onceOrTold(_ run: UInt64, partitions: Int) {
        var overruns = 0
        for world in 0..<Self.worlds {
            let seed = Self.seed ?? run * Self.worlds + world
            var streams = StreamModel(seed: seed, partitions: partitions)
            for _ in 0..<Self.steps { streams.step() }
            streams.settle()
            overruns += streams.overruns
            #expect(streams.faults.isEmpty, "seed \(seed), \(partitions): \(streams.faults.prefix(3))")
            guard streams.faults.isEmpty else { return }
        }
        #expect(overruns > 0, "rings must have passed streams")
    }
}
