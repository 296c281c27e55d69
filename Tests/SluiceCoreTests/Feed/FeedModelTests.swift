// SPDX-License-Identifier: Apache-2.0
import Foundation
import SluiceCore
import Testing

@Suite("The feed's machine, driven as a hub drives it")
struct FeedModelTests {
    /// SLUICE_TEST_SEED sets another one; worlds have the seeds behind it. SLUICE_TEST_WORLDS sets their number.
    private static let environment = ProcessInfo.processInfo.environment
    private static let seed = environment["SLUICE_TEST_SEED"].flatMap { UInt64($0) } ?? 1
    private static let worlds = environment["SLUICE_TEST_WORLDS"].flatMap { UInt64($0) } ?? 500
    private static let steps = 2_000

    @Test(
        "whatever Redis and the network do, each event comes once and in order, or a gap covers it; no gap is false, and what is held is bounded"
    )
    func deliversEachOnce() throws {
        var counts: [String: Int] = [:]
        for seed in FeedModelTests.seed..<(FeedModelTests.seed + FeedModelTests.worlds) {
            var model = try FeedModel(seed: seed)
            var steps = 0
            while steps < FeedModelTests.steps, model.problem == nil {
                model.step()
                steps += 1
            }
            if model.problem == nil { model.settle() }
            counts.merge(model.counts, uniquingKeysWith: +)
            counts["steps", default: 0] += steps
            #expect(model.problem == nil, "seed \(seed), step \(steps)")
            if model.problem != nil { break }
        }
        print("seeds from \(FeedModelTests.seed):", counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" })
        let needed = [
            "lost in silence", "flood", "leap", "data set goes back", "another node reports", "a hole",
            "a hole that was heard", "lineage", "future", "repaired", "gap", "ended", "stream", "paused",
        ]
        for what in needed { #expect(counts[what, default: 0] > 0, "\(what) has to come to pass") }
    }
}
