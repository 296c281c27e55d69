// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import Testing

@Suite("Whether a target is heard, and since when")
struct CoverageTests {
    @Test("since the first reading of the clock behind its confirmation, or since what was lost later")
    func since() {
        var coverage = Coverage.unknown
        coverage.lose(upTo: EventID(5, 0))
        #expect(coverage == .unknown)
        let isSettledUnconfirmed = coverage.settle(at: EventID(6, 0))
        #expect(!isSettledUnconfirmed)
        coverage.confirm()
        #expect(coverage.isConfirmed && coverage.since == nil)
        let isSettled = coverage.settle(at: EventID(10, 0))
        let isSettledAgain = coverage.settle(at: EventID(20, 0))
        #expect(isSettled && !isSettledAgain)
        #expect(coverage.since == EventID(10, 0))
        coverage.lose(upTo: EventID(9, 0))
        #expect(coverage.since == EventID(10, 0))
        coverage.lose(upTo: EventID(30, 0))
        #expect(coverage.since == EventID(30, 0))
    }

    @Test("A lost connection takes away what was only confirmed; what was covered, a repair brings back")
    func interrupt() {
        for (before, after) in [
            (Coverage.unknown, Coverage.unknown), (.confirmed, .unknown),
            (.since(EventID(1, 0)), .since(EventID(1, 0))),
        ] {
            var coverage = before
            coverage.interrupt()
            #expect(coverage == after)
        }
    }
}
