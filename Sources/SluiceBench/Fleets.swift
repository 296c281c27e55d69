// SPDX-License-Identifier: Apache-2.0
import Histogram
import NIOCore
import NIOPosix

/// All streams of the bench, on one event loop or several.
struct Fleets: Sendable {
    private let loops: [any EventLoop]
    private let fleets: [NIOLoopBoundBox<Fleet>]

    init(_ plan: Plan, marker: Marker) {
        let loops = Array(MultiThreadedEventLoopGroup(numberOfThreads: plan.threads).makeIterator())
        self.loops = loops
        fleets = loops.enumerated().map { index, loop in
            NIOLoopBoundBox.makeBoxSendingValue(
                Fleet(plan, marker: marker, first: index, of: loops.count, on: loop), eventLoop: loop)
        }
    }

    func counts() async -> Counts {
        await onEach { $0.tally.counts }.reduce(into: Counts()) { $0.add($1) }
    }

    func latency() async -> Histogram<UInt64> {
        await onEach { $0.tally.latency }.reduce(into: Tally.emptyLatency) { $0.add($1) }
    }

    func lost(published: [Int]) async -> Int { await onEach { $0.lost(published: published) }.reduce(0, +) }

    func openedOfTopic() async -> [Int] {
        let all = await onEach { $0.openedOfTopic() }
        return (all.first ?? []).indices.map { topic in all.reduce(0) { $0 + $1[topic] } }
    }

    @discardableResult
    func onEach<Value: Sendable>(_ body: @escaping @Sendable (Fleet) -> Value) async -> [Value] {
        var values: [Value] = []
        for (loop, fleet) in zip(loops, fleets) {
            // An event loop that runs for as long as the process does can't fail.
            guard let value = try? await loop.submit({ body(fleet.value) }).get() else { continue }
            values.append(value)
        }
        return values
    }
}
