// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import Testing

@Suite("Lineage")
struct LineageTests {
    private static func lineage(_ runs: (UInt64, UInt64)...) -> Lineage {
        Lineage(runs.map { Lineage.Run($0.0, found: EventID($0.1, 0)) })
    }

    @Test(
        "Two data sets part where the first of their runs differ; the same process is no other data set",
        arguments: [
            (lineage((1, 0)), lineage((1, 0)), nil),
            // Promoted: has all up to what it found.
            (lineage((1, 0)), lineage((1, 0), (2, 70)), 70),
            (lineage((1, 0), (2, 70)), lineage((1, 0), (2, 70), (3, 90), (4, 95)), 90),
            // Each has gone its own way from the same one.
            (lineage((1, 0), (2, 70)), lineage((1, 0), (3, 60)), 60),
            (lineage((1, 0), (2, 60)), lineage((1, 0), (3, 70)), 60),
            // The old one goes on where it was left, and has written nothing since.
            (lineage((1, 0), (2, 70)), lineage((1, 0)), 70),
            (lineage((5, 100)), lineage((1, 0)), 0),
            (lineage((1, 0)), Lineage(), nil),
            (Lineage(), lineage((1, 0)), nil),
        ] as [(Lineage, Lineage, UInt64?)])
    func parting(own: Lineage, other: Lineage, milliseconds: UInt64?) {
        #expect(own.parting(from: other)?.upTo == milliseconds.map { EventID($0, 0) })
    }

    @Test(
        "What the other gives out by itself is later than what it found, and than the time at which its run began",
        arguments: [
            (lineage((1, 0), (90_000, 70)), 89), (lineage((1, 0), (90_000, 95)), 95), (lineage((90_000, 70)), 89),
            (lineage((1, 0)), 70),
        ] as [(Lineage, UInt64)])
    func began(other: Lineage, milliseconds: UInt64) {
        let own = LineageTests.lineage((1, 0), (2, 70))
        #expect(own.parting(from: other)?.began == EventID(milliseconds, 0))
    }

    @Test("is read as the function writes it; of what it can't have written nothing is believed")
    func text() {
        #expect(Lineage(text: " 1700000000000000 0-0 1700000000000009 5-1").runs.count == 2)
        #expect(Lineage(text: "1 5-1") == Lineage([Lineage.Run(1, found: EventID(5, 1))]))
        for text in ["", "1", "1 5-1 2", "x 5-1", "1 5", "1 5-1 2 x"] { #expect(Lineage(text: text).isEmpty) }
    }
}
