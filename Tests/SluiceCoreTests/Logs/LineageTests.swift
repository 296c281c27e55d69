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

    private static func at(_ second: UInt64, _ sequence: UInt64 = 0) -> EventID { EventID(second * 1000, sequence) }

    /// Masters that began in these seconds, each of which found what there was. The first one's ids are not marked.
    private static func masters(_ seconds: UInt64...) -> Lineage {
        Lineage(seconds.map { Lineage.Run($0 * 1_000_000 + ($0 > 0 ? 1 : 0), found: at($0)) })
    }

    /// The sequence of an id of the master that began in that second.
    private static func mark(_ second: UInt64, _ count: UInt64 = 0) -> UInt64 { count * 256 + 128 + second % 128 }

    @Test(
        "An id that another server gave out has a rival from where the data set had ids of its own",
        arguments: [
            // The first master's, from before and after its successor began.
            (masters(0, 100), at(90), nil), (masters(0, 100), at(110), 100), (masters(0, 100), at(110, 5), 100),
            // The successor's own, also long after it began.
            (masters(0, 100), at(110, mark(100)), nil), (masters(0, 100), at(110, mark(100, 7)), nil),
            (masters(0, 100), at(9000, mark(100)), nil),
            // Of the first of two successors, and of the first master beside both.
            (masters(0, 100, 150), at(140, mark(100)), nil), (masters(0, 100, 150), at(160, mark(100)), 150),
            (masters(0, 100, 150), at(160), 100), (masters(0, 100, 150), at(160, mark(150)), nil),
            // One that is not of this lineage: it can only be beside those that began after it.
            (masters(0, 100, 150), at(160, mark(155)), 150), (masters(0, 100, 150), at(160, mark(120)), 100),
            // A master that came back without what its successor has given out; the successor's on a former master.
            (masters(0, 100), at(110, mark(105)), 100), (masters(0), at(50, mark(40)), 0),
            // All that its run gave out is lost: then none was beside it.
            (Lineage([.init(0, found: .zero), .init(120_000_001, found: at(104))]), at(110, mark(105)), nil),
            (Lineage([.init(0, found: .zero), .init(120_000_001, found: at(106))]), at(110, mark(105)), 0),
            // One that no server has given out, or of which nothing is known.
            (masters(0, 100), at(110, 255), nil), (masters(0, 100), at(110, 511), nil),
            (Lineage(), at(50, mark(40)), nil), (Lineage(), at(50), nil), (masters(0, 100), EventID.zero, nil),
        ] as [(Lineage, EventID, UInt64?)])
    func rival(lineage: Lineage, id: EventID, began: UInt64?) {
        #expect(lineage.rivalBegan(to: id) == began.map { LineageTests.at($0) })
    }

    @Test("is read as the function writes it; of what it can't have written nothing is believed")
    func text() {
        #expect(Lineage(text: " 1700000000000000 0-0 1700000000000009 5-1").runs.count == 2)
        #expect(Lineage(text: "1 5-1") == Lineage([Lineage.Run(1, found: EventID(5, 1))]))
        for text in ["", "1", "1 5-1 2", "x 5-1", "1 5", "1 5-1 2 x"] { #expect(Lineage(text: text).isEmpty) }
    }
}
